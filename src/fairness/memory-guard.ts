import type { Clock } from '../clock.js';
import type { Log } from '../observe/log.js';
import type { Account } from './account.js';
import type { Ledger } from './ledger.js';

/** How often is looked. What all accounts hold can't grow by much meanwhile: each is held to its own limit. */
const PERIOD_MS = 250;
/** How long is waited for what was freed to show, before the next one has to go. */
const PATIENCE_MS = 1_000;

export interface MemoryGuardOptions {
  readonly ledger: Ledger;
  readonly connections: Iterable<{ readonly account: Account; close(reason: 'memory-limit'): void }>;
  readonly counters: { memoryReliefs: number };
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Before the process is in danger of running out of memory, the connections of the account that holds most are ended;
 * and those of the next one, as long as that has not helped. What persistent sessions keep is on disk.
 */
export function guardMemory({ ledger, connections, counters, clock, log }: MemoryGuardOptions): { close(): void } {
  let relievedAtMs = Number.NEGATIVE_INFINITY;

  function relieve(account: Account): void {
    const { name, heldBytes } = account;
    const held = Object.fromEntries(Object.entries(account.balances).map(([balance, { bytes }]) => [balance, bytes]));
    const ended = [...connections].filter((connection) => connection.account === account);
    for (const connection of ended) connection.close('memory-limit');
    counters.memoryReliefs++;
    log.error(
      { login: name, heldBytes, held, limit: ledger.limitForAll, connections: ended.length },
      'memory is short: the connections of the user who holds most were ended',
    );
  }

  const close = clock.every(PERIOD_MS, () => {
    if (clock.monotonicMs() - relievedAtMs < PATIENCE_MS || !ledger.inDanger) return;
    const { heaviest } = ledger;
    if (heaviest === null) return;
    relievedAtMs = clock.monotonicMs();
    relieve(heaviest);
  });
  return { close };
}
