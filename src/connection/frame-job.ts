import type { Account } from '../fairness/account.js';
import { BackgroundJob, type Job, Work } from '../fairness/job.js';
import type { Scheduler } from '../fairness/scheduler.js';
import type { Valve } from '../valve.js';

/** What the last frame of a connection asked for and is not done. */
export class FrameJob {
  #work: Work | null = null;

  get any(): boolean {
    return this.#work !== null;
  }

  set(job: Job): void {
    this.#work = new Work(job);
  }

  /** Goes on with it; the valve is what it waits for. */
  proceed(scheduler: Scheduler): 'done' | 'slice-over' | Valve {
    if (this.#work === null) return 'done';
    try {
      const outcome = this.#work.proceed(scheduler);
      if (outcome === 'done') this.#work = null;
      return outcome;
    } catch (error) {
      this.#work = null;
      throw error;
    }
  }

  /** Nobody waits for it any more; it is done all the same. */
  leave(account: Account, scheduler: Scheduler): void {
    if (this.#work !== null) new BackgroundJob(this.#work, account, scheduler).begin();
    this.#work = null;
  }
}
