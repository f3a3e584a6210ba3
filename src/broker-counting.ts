import type { Clock } from './clock.js';
import type { AuthOutcome, CredentialGuard } from './credentials/guard.js';
import type { ListenerWitness } from './listener/reception.js';
import type { Counters } from './observe/counters.js';
import type { Store } from './store/contract.js';

/** The parts do not know the metrics: what they tell is counted here. */

/** Counts what the guard answers, and how long that takes. */
export function countingGuard(
  guard: CredentialGuard,
  { counters, clock, backend }: { readonly counters: Counters; readonly clock: Clock; readonly backend: string },
): CredentialGuard {
  // A counter that is not there cannot be told from one that is zero.
  for (const kind of ['accepted', 'refused', 'unavailable']) counters.authentications.add(`${backend} ${kind}`, 0);
  return {
    ...guard,
    get outage() {
      return guard.outage;
    },
    async authenticate(presented) {
      const startedMs = clock.monotonicMs();
      const outcome = await guard.authenticate(presented);
      const { authentications, authenticationSeconds } = counters;
      authentications.add(`${backend} ${outcome.kind}`);
      authenticationSeconds[sourceOf(outcome)].observe((clock.monotonicMs() - startedMs) / 1_000);
      return outcome;
    },
  };
}

/** Reasons for which nobody is asked. */
const unasked = new Set(['no-login', 'no-password', 'invalid-login', 'invalid-password', 'throttled']);

/** Whose word it was. */
function sourceOf(outcome: AuthOutcome): 'memory' | 'backend' | 'none' {
  if (outcome.kind === 'accepted') return outcome.remembered ? 'memory' : 'backend';
  return outcome.kind === 'refused' && unasked.has(outcome.reason) ? 'none' : 'backend';
}

/** Counts what comes in at the listener. */
export function listenerWitness(counters: Counters): ListenerWitness {
  return {
    handshake(result, resumed, seconds) {
      counters.handshakes.add(`${result} ${resumed ? 'yes' : 'no'}`);
      if (result === 'secure') counters.handshakeSeconds.observe(seconds);
    },
    refused: (reason) => counters.connectionsRefused.add(reason),
  };
}

/** Counts groups of operations that are on disk. */
export function commitCounter(counters: Counters): (operations: number, seconds: number) => void {
  return (operations, seconds) => {
    counters.storeCommitSeconds.observe(seconds);
    counters.storeCommitOperations.observe(operations);
  };
}

export function countFaults(store: Pick<Store, 'onFault'>, counters: Counters): void {
  store.onFault(({ code }) => counters.storeFaults.add(code));
}
