import type { BrokerParts } from '../broker-parts.js';
import { type Job, perform } from '../fairness/job.js';
import type { Owner, Scheduler } from '../fairness/scheduler.js';

/** Work that may be long: it yields wherever it could stop. */
export type Steps<T> = Generator<undefined, T, void>;

/** Does an operator's work in slices, when it is the operators' turn: nobody else waits for it. */
export function inSlices<T>({ scheduler, operators }: BrokerParts, steps: Steps<T>): Promise<T> {
  return inSlicesOf(operators, scheduler, steps);
}

/** The same for anybody's work. */
export function inSlicesOf<T>(owner: Owner, scheduler: Scheduler, steps: Steps<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    function* job(): Job {
      try {
        resolve(yield* steps);
      } catch (error) {
        reject(error);
      }
    }
    perform(job(), owner, scheduler);
  });
}
