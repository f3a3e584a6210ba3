import { Valve } from '../valve.js';
import type { Owner, Scheduler, Task } from './scheduler.js';

/**
 * Work that may be long, in steps: it yields wherever it could stop, after a tenth of a millisecond or so, and is gone
 * on with at once or later. It may yield a valve: then it goes on once that is open.
 */
export type Job = Generator<Valve | undefined, void, void>;

/** Goes on until the job is done, or the slice over, or a valve closed: that is returned then. */
export function proceed(job: Job, scheduler: Scheduler): 'done' | 'slice-over' | Valve {
  for (;;) {
    const { done, value } = job.next();
    if (done) return 'done';
    if (value?.closed) return value;
    if (scheduler.sliceOver) return 'slice-over';
  }
}

/** Has a job wait for what comes later. */
export function* whenThere<T>(promise: Promise<T>): Generator<Valve, T, void> {
  const valve = new Valve();
  valve.close();
  let outcome: { value: T } | { error: unknown } | null = null;
  promise.then(
    (value) => {
      outcome = { value };
      valve.open();
    },
    (error) => {
      outcome = { error };
      valve.open();
    },
  );
  yield valve;
  const { value, error } = outcome as unknown as { value: T; error?: unknown };
  if (error !== undefined) throw error;
  return value;
}

/** A job that nothing waits for. */
export class BackgroundJob implements Task {
  readonly #job: Job;
  readonly #owner: Owner;
  readonly #scheduler: Scheduler;

  constructor(job: Job, owner: Owner, scheduler: Scheduler) {
    this.#job = job;
    this.#owner = owner;
    this.#scheduler = scheduler;
  }

  work(): boolean {
    const outcome = proceed(this.#job, this.#scheduler);
    if (outcome === 'done') return false;
    if (outcome === 'slice-over') return true;
    this.begin(outcome);
    return false;
  }

  /** Is in its owner's line from now on, or from when the valve is open that the job waits for. */
  begin(valve: Valve | null): void {
    const line = () => this.#scheduler.add(this.#owner, this);
    if (valve === null) line();
    else valve.whenOpen(line);
  }
}

/** Begins a job that nothing waits for: at once, if it is its owner's turn, and goes on with it later if need be. */
export function perform(job: Job, owner: Owner, scheduler: Scheduler): void {
  const task = new BackgroundJob(job, owner, scheduler);
  let more = true;
  if (scheduler.mayWork(owner)) {
    scheduler.begin();
    try {
      more = task.work();
    } finally {
      scheduler.end(owner);
    }
  }
  if (more) scheduler.add(owner, task);
}
