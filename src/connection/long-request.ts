import type { Job } from '../fairness/job.js';
import type { UserAccount } from '../session/user-account.js';

/** Larger than a SUBSCRIBE of a hundred filters. */
const LONG_BYTES = 4 * 1024;

/**
 * Has the SUBSCRIBE and UNSUBSCRIBE packets of a user, if they are long, wait for each other: what is read from one takes
 * several times its bytes, and a thousand connections may have sent one at once. Who waits has the packet, and pays for it.
 */
export function inTurn(request: Job, account: UserAccount, bytes: number): Job {
  return bytes > LONG_BYTES ? oneAtATime(request, account, bytes) : request;
}

function* oneAtATime(request: Job, { balances, requests }: UserAccount, bytes: number): Job {
  balances.jobs.add(bytes);
  try {
    yield* requests.take();
    try {
      yield* request;
    } finally {
      requests.give();
    }
  } finally {
    balances.jobs.add(-bytes);
  }
}
