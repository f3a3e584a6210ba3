import type { Account } from '../fairness/account.js';
import { BackgroundJob, type Job, proceed } from '../fairness/job.js';
import type { Scheduler } from '../fairness/scheduler.js';
import type { Valve } from '../valve.js';

/** What the last frame of a connection asked for and is not done. */
export class FrameJob {
  #job: Job | null = null;
  /** It yielded that, and must not go on before it is open. */
  #valve: Valve | null = null;

  get any(): boolean {
    return this.#job !== null;
  }

  set(job: Job): void {
    this.#job = job;
    this.#valve = null;
  }

  /** Goes on with it; the valve is what it waits for. */
  proceed(scheduler: Scheduler): 'done' | 'slice-over' | Valve {
    if (this.#job === null) return 'done';
    try {
      const outcome = proceed(this.#job, scheduler);
      if (outcome === 'done') this.#job = null;
      else if (outcome !== 'slice-over') this.#valve = outcome;
      return outcome;
    } catch (error) {
      this.#job = null;
      throw error;
    }
  }

  /** Nobody waits for it any more; it is done all the same. */
  leave(account: Account, scheduler: Scheduler): void {
    if (this.#job !== null) new BackgroundJob(this.#job, account, scheduler).begin(this.#valve);
    this.#job = null;
  }
}
