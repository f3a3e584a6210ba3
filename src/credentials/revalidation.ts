import type { Clock } from '../clock.js';
import type { Log } from '../observe/log.js';
import type { CredentialGuard } from './guard.js';

/** A connection that was let in, as far as this part of the house knows it. */
export interface LiveSession {
  readonly login: string;
  /** What the credential backend handed out when it was let in. */
  readonly proof: unknown;
  close(reason: 'revoked'): void;
}

export interface Revalidation {
  /** So often from now on; 0 never does. */
  every(periodMs: number): void;
  /** Ends the checks; the one that is under way changes nothing any more. */
  close(): void;
}

/** Questions at the same time. The guard lets logins go first, whatever this is. */
const concurrency = 4;
/** So many unanswered in a row are an outage: the others are not asked in vain. */
const unansweredLimit = 3;
const retryMs = 60_000;

/**
 * Asks every `periodMs` whether those who are in are still entitled, once per login and proof, and closes the sessions of
 * those who are not: removed, disabled, or let in with a password that is no longer theirs. No answer closes nobody; it
 * is asked again within a minute. 0 turns it off.
 */
export function createRevalidation(options: {
  readonly guard: Pick<CredentialGuard, 'revalidate'>;
  readonly periodMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly sessions: () => Iterable<LiveSession>;
}): Revalidation {
  const { guard, clock, sessions } = options;
  let { periodMs } = options;
  const log = options.log.child({ part: 'credentials' });
  let closed = false;
  /** Said once, however long it lasts. */
  let told = false;
  let cancelTimer = (): void => {};
  let schedules = 0;

  function schedule(delayMs: number): void {
    if (closed || periodMs === 0) return;
    const mine = ++schedules;
    cancelTimer = clock.after(delayMs, () => {
      void round().then((complete) => {
        // Otherwise somebody has said meanwhile how often, and the next one is scheduled already.
        if (schedules === mine) schedule(complete ? periodMs : Math.min(periodMs, retryMs));
      });
    });
  }

  /** Resolves with whether everybody was answered for. */
  async function round(): Promise<boolean> {
    const questions = questionsOf(sessions());
    let unanswered = 0;
    let unansweredInARow = 0;
    const askInTurn = async (): Promise<void> => {
      for (;;) {
        const question = questions.pop();
        if (question === undefined || closed) return;
        if (unansweredInARow >= unansweredLimit) {
          unanswered += 1;
          continue;
        }
        const answer = await guard.revalidate(question.login, question.proof);
        if (closed) return;
        unansweredInARow = answer === 'unknown' ? unansweredInARow + 1 : 0;
        if (answer === 'unknown') unanswered += 1;
        if (answer === 'revoked') revoke(question.login, question.proof);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, askInTurn));
    if (unanswered > 0 && !told && !closed) {
      log.warn({ unanswered }, 'live sessions could not be checked: the credential backend does not answer; they stay');
    }
    told = unanswered > 0;
    return unanswered === 0;
  }

  /** Looks again who is in: some of them left meanwhile, others came. */
  function revoke(login: string, proof: unknown): void {
    const theirs = [...sessions()].filter((session) => session.login === login && session.proof === proof);
    for (const session of theirs) session.close('revoked');
    if (theirs.length > 0) log.info({ login, sessions: theirs.length }, 'no longer entitled: sessions closed');
  }

  schedule(periodMs);
  return {
    every(wantedMs) {
      if (wantedMs === periodMs) return;
      periodMs = wantedMs;
      cancelTimer();
      schedules++;
      schedule(periodMs);
    },

    close() {
      closed = true;
      cancelTimer();
    },
  };
}

function questionsOf(sessions: Iterable<LiveSession>): { login: string; proof: unknown }[] {
  const proofsOf = new Map<string, Set<unknown>>();
  for (const { login, proof } of sessions) {
    const proofs = proofsOf.get(login);
    if (proofs === undefined) proofsOf.set(login, new Set([proof]));
    else proofs.add(proof);
  }
  return [...proofsOf].flatMap(([login, proofs]) => [...proofs].map((proof) => ({ login, proof })));
}
