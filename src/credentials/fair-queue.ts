interface Job {
  readonly address: string;
  readonly login: string;
  readonly start: () => Promise<unknown>;
  readonly giveUp: () => void;
}

interface Lane {
  queued: number;
  running: number;
  /** In the order of their turns. */
  readonly byLogin: Map<string, Set<Job>>;
}

/**
 * Runs at most `width` jobs at a time. Addresses take turns, and the logins of an address among themselves, so a
 * thousand questions from one device or one address delay another's by one question, not by a thousand. The number of
 * those that wait is bounded; when it is reached, the address that has the most gives one up.
 */
export class FairQueue {
  readonly #width: number;
  readonly #maxQueued: number;
  /** How many of an address may run at the same time. */
  readonly #widthOf: (address: string) => number;
  /** In the order of their turns. */
  readonly #lanes = new Map<string, Lane>();
  #running = 0;
  #queued = 0;

  constructor(options: { width: number; maxQueued: number; widthOf: (address: string) => number }) {
    this.#width = Math.max(1, options.width);
    this.#maxQueued = options.maxQueued;
    this.#widthOf = options.widthOf;
  }

  get queued(): number {
    return this.#queued;
  }

  get running(): number {
    return this.#running;
  }

  /**
   * Starts the job at once or when its turn comes; `giveUp` is called instead when the queue is full. `start` must not
   * throw, and its promise must not reject. The returned function takes a job that has not started out of the queue.
   */
  add(job: Job): () => void {
    const lane = this.#lane(job.address);
    const jobs = lane.byLogin.get(job.login);
    if (jobs === undefined) lane.byLogin.set(job.login, new Set([job]));
    else jobs.add(job);
    lane.queued += 1;
    this.#queued += 1;
    this.#pump();
    if (this.#queued > this.#maxQueued) this.#giveOneUp();
    return () => this.#remove(job);
  }

  #lane(address: string): Lane {
    let lane = this.#lanes.get(address);
    if (lane === undefined) {
      lane = { queued: 0, running: 0, byLogin: new Map() };
      this.#lanes.set(address, lane);
    }
    return lane;
  }

  #pump(): void {
    while (this.#running < this.#width && this.#queued > 0) {
      const job = this.#next();
      if (job === undefined) return;
      const lane = this.#lane(job.address);
      this.#running += 1;
      lane.running += 1;
      void job.start().finally(() => {
        this.#running -= 1;
        lane.running -= 1;
        this.#forgetIdle(job.address, lane);
        this.#pump();
      });
    }
  }

  #next(): Job | undefined {
    for (const [address, lane] of this.#lanes) {
      if (lane.queued === 0 || lane.running >= this.#widthOf(address)) continue;
      const [login, jobs] = lane.byLogin.entries().next().value!;
      const job = jobs.values().next().value!;
      this.#remove(job);
      // Both go to the back of their rows.
      if (lane.byLogin.delete(login) && jobs.size > 0) lane.byLogin.set(login, jobs);
      this.#lanes.delete(address);
      this.#lanes.set(address, lane);
      return job;
    }
    return undefined;
  }

  #remove(job: Job): void {
    const lane = this.#lanes.get(job.address);
    const jobs = lane?.byLogin.get(job.login);
    if (lane === undefined || !jobs?.delete(job)) return;
    lane.queued -= 1;
    this.#queued -= 1;
    if (jobs.size === 0) lane.byLogin.delete(job.login);
    this.#forgetIdle(job.address, lane);
  }

  #forgetIdle(address: string, lane: Lane): void {
    if (lane.queued === 0 && lane.running === 0 && this.#lanes.get(address) === lane) this.#lanes.delete(address);
  }

  #giveOneUp(): void {
    let longest: Lane | undefined;
    for (const lane of this.#lanes.values()) if (lane.queued > (longest?.queued ?? 0)) longest = lane;
    let most: Set<Job> | undefined;
    for (const jobs of longest?.byLogin.values() ?? []) if (jobs.size >= (most?.size ?? 0)) most = jobs;
    const last = most === undefined ? undefined : [...most].at(-1);
    if (last === undefined) return;
    this.#remove(last);
    last.giveUp();
  }
}
