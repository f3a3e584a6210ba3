import { type Owner, Scheduler, type Task } from '../../src/fairness/scheduler.js';
import { networkAccount } from './accounts.js';

/** A scheduler whose time is spent by the work that it has done, and by nothing else. */
export class WorkTime {
  nowMs = 0;
  readonly failures: unknown[] = [];
  readonly scheduler = new Scheduler(
    (error) => this.failures.push(error),
    () => this.nowMs,
  );

  spend(ms: number): void {
    this.nowMs += ms;
  }

  /** Works at once, for so long. */
  workAtOnce(owner: Owner, ms: number): void {
    this.scheduler.begin();
    this.spend(ms);
    this.scheduler.end(owner);
  }
}

/** An owner with a diary: how long each of its turns took, and when it ended. */
export class Worker {
  readonly account = networkAccount();
  readonly turns: number[] = [];
  readonly #time: WorkTime;

  constructor(time: WorkTime) {
    this.#time = time;
  }

  get workedMs(): number {
    return this.turns.reduce((sum, ms) => sum + ms, 0);
  }

  /** Has work in pieces of `pieceMs`, which stops where it is asked to, until `untilMs`. */
  keepBusy(pieceMs: number, untilMs: number): void {
    this.add({
      work: () => {
        const startedAtMs = this.#time.nowMs;
        do this.#time.spend(pieceMs);
        while (!this.#time.scheduler.sliceOver);
        if (startedAtMs < untilMs) this.turns.push(this.#time.nowMs - startedAtMs);
        return this.#time.nowMs < untilMs;
      },
    });
  }

  /** Has one piece of work that takes so long. */
  work(ms: number, done: () => void = () => {}): void {
    this.add({
      work: () => {
        this.#time.spend(ms);
        this.turns.push(ms);
        done();
        return false;
      },
    });
  }

  add(task: Task): void {
    this.#time.scheduler.add(this.account, task);
  }
}

export const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
