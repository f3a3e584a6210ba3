import { Valve } from '../valve.js';
import type { Owner, Scheduler, Task } from './scheduler.js';

/**
 * Work that may be long, in steps: it yields wherever it could stop, after a tenth of a millisecond or so, and is gone
 * on with at once or later. It may yield a valve: then it goes on once that is open.
 */
export type Job = Generator<Valve | undefined, void, void>;

/**
 * A job that was begun. What it waits for is known here and not to who goes on with it: a connection that has to make
 * way, or is gone, hands it on in the middle of that.
 */
export class Work {
  readonly #job: Job;
  #valve: Valve | null = null;

  constructor(job: Job) {
    this.#job = job;
  }

  /** What it waits for; null: it can go on. */
  get valve(): Valve | null {
    return this.#valve?.closed === true ? this.#valve : null;
  }

  /** Goes on until the job is done, or the slice over, or a valve closed: that is returned then, and until it opens. */
  proceed(scheduler: Scheduler): 'done' | 'slice-over' | Valve {
    if (this.#valve?.closed === true) return this.#valve;
    for (;;) {
      const { done, value } = this.#job.next();
      if (done) return 'done';
      if (value?.closed) {
        this.#valve = value;
        return value;
      }
      if (scheduler.sliceOver) return 'slice-over';
    }
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
  readonly #work: Work;
  readonly #owner: Owner;
  readonly #scheduler: Scheduler;

  constructor(work: Work, owner: Owner, scheduler: Scheduler) {
    this.#work = work;
    this.#owner = owner;
    this.#scheduler = scheduler;
  }

  work(): boolean {
    const outcome = this.#work.proceed(this.#scheduler);
    if (outcome === 'done') return false;
    if (outcome === 'slice-over') return true;
    this.begin();
    return false;
  }

  /** Is in its owner's line from now on, or from when that is open that it waits for. */
  begin(): void {
    const line = () => this.#scheduler.add(this.#owner, this);
    const { valve } = this.#work;
    if (valve === null) line();
    else valve.whenOpen(line);
  }
}

/** Begins a job that nothing waits for: at once, if it is its owner's turn, and goes on with it later if need be. */
export function perform(job: Job, owner: Owner, scheduler: Scheduler): void {
  const task = new BackgroundJob(new Work(job), owner, scheduler);
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
