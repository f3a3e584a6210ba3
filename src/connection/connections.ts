import type { Account } from '../fairness/account.js';
import { perform } from '../fairness/job.js';
import type { Scheduler } from '../fairness/scheduler.js';
import type { CloseReason } from '../session/close-reason.js';
import type { Connection } from './connection.js';

interface All {
  readonly connections: Iterable<Connection>;
  readonly scheduler: Scheduler;
}

/** Those of a login, or of the one client; also those that wait to be let in. */
export function connectionsOf(connections: Iterable<Connection>, login: string, clientId?: string): Connection[] {
  return [...connections].filter(({ peer }) => {
    return peer?.login === login && (clientId === undefined || peer.clientId === clientId);
  });
}

/** Ends those of a login, or of the one client, as `endConnections`. */
export function endClients(all: All, reason: CloseReason, login: string, clientId?: string): number {
  return endConnections(all, reason, connectionsOf(all.connections, login, clientId));
}

/** Ends them, each user's when it is that user's turn: nobody else waits for it. Returns how many there are. */
export function endConnections({ scheduler }: All, reason: CloseReason, found: readonly Connection[]): number {
  const byAccount = new Map<Account, Connection[]>();
  for (const connection of found) {
    const own = byAccount.get(connection.account);
    if (own === undefined) byAccount.set(connection.account, [connection]);
    else own.push(connection);
  }
  for (const [account, own] of byAccount) perform(ending(own, reason), account, scheduler);
  return found.length;
}

/** The end of them, in steps; nothing that they have sent is handled any more. */
export function* ending(connections: readonly Connection[], reason: CloseReason): Generator<undefined, void, void> {
  // Who waits goes first, or would be let in where another one ends.
  const waitingFirst = [...connections].sort((a, b) => Number(a.client !== null) - Number(b.client !== null));
  for (const { reader } of waitingFirst) reader.halt();
  for (const connection of waitingFirst) {
    connection.close(reason);
    yield;
  }
}
