/** What a job holds once it has begun; neither promise rejects. */
export interface Begun {
  /** Until then it has one of the queue's places. */
  readonly place: Promise<unknown>;
  /** Until then the other jobs of its login wait. Not before `place`. */
  readonly answer: Promise<unknown>;
}

export interface Job {
  readonly network: string;
  readonly login: string;
  /** Not a guess. Nobody can have many of these, so they need not stand in line with the guesses. */
  readonly known: boolean;
  begin(): Begun;
  /** Instead of `begin`, when the queue is full. */
  giveUp(): void;
}

/** The jobs of one network, by login, in the order of their turns. */
class Network {
  readonly name: string;
  readonly ready = new Map<string, Set<Job>>();
  /** Of logins that a job has begun for. */
  readonly held = new Map<string, Set<Job>>();
  queued = 0;

  constructor(name: string) {
    this.name = name;
  }
}

class Band {
  readonly networks = new Map<string, Network>();
  /** Those with a job that could begin, in the order of their turns. */
  readonly turns = new Set<Network>();
}

/**
 * Runs at most `width` jobs at a time. Networks take turns, and in each network its logins, with one job at a time: a
 * thousand questions from one place, or about one login, delay another's by one question and not by a thousand. The
 * guesses together and the others take turns too. How many wait is bounded; beyond that, whoever has most of the
 * guesses gives one up.
 */
export class FairQueue {
  #width: number;
  readonly #maxQueued: number;
  /** How many jobs of a network may run at the same time. */
  #widthOf: (network: string) => number;
  readonly #known = new Band();
  readonly #guesses = new Band();
  readonly #runningOf = new Map<string, number>();
  #next: Band = this.#known;
  #running = 0;
  #queued = 0;

  constructor(options: { width: number; maxQueued: number; widthOf: (network: string) => number }) {
    this.#width = Math.max(1, options.width);
    this.#maxQueued = options.maxQueued;
    this.#widthOf = options.widthOf;
  }

  /** So many at a time from now on; those that run go on. */
  resize(width: number, widthOf: (network: string) => number): void {
    this.#width = Math.max(1, width);
    this.#widthOf = widthOf;
    this.#pump();
  }

  get queued(): number {
    return this.#queued;
  }

  get running(): number {
    return this.#running;
  }

  /** Begins the job at once or when its turn comes. The returned function takes out one that has not begun. */
  add(job: Job): () => void {
    const band = job.known ? this.#known : this.#guesses;
    const network = band.networks.get(job.network) ?? new Network(job.network);
    band.networks.set(job.network, network);
    const held = network.held.get(job.login);
    const jobs = held ?? network.ready.get(job.login) ?? new Set();
    jobs.add(job);
    network.queued += 1;
    this.#queued += 1;
    if (held === undefined) {
      network.ready.set(job.login, jobs);
      band.turns.add(network);
    }
    this.#pump();
    if (this.#queued > this.#maxQueued) this.#giveOneUp();
    return () => this.#takeOut(band, network, job);
  }

  #pump(): void {
    while (this.#running < this.#width) {
      const other = this.#next === this.#known ? this.#guesses : this.#known;
      if (this.#beginOne(this.#next)) this.#next = other;
      else if (!this.#beginOne(other)) return;
    }
  }

  #beginOne(band: Band): boolean {
    for (const network of band.turns) {
      const running = this.#runningOf.get(network.name) ?? 0;
      if (running >= this.#widthOf(network.name)) continue;
      const [login, jobs] = network.ready.entries().next().value!;
      const job: Job = jobs.values().next().value!;
      network.ready.delete(login);
      network.held.set(login, jobs);
      this.#takeOut(band, network, job);
      // To the back of the row.
      band.turns.delete(network);
      if (network.ready.size > 0) band.turns.add(network);
      this.#runningOf.set(network.name, running + 1);
      this.#running += 1;
      const { place, answer } = job.begin();
      void place.finally(() => this.#ended(network.name));
      void answer.finally(() => this.#answered(band, network, login));
      return true;
    }
    return false;
  }

  #ended(name: string): void {
    const running = this.#runningOf.get(name)! - 1;
    if (running > 0) this.#runningOf.set(name, running);
    else this.#runningOf.delete(name);
    this.#running -= 1;
    this.#pump();
  }

  #answered(band: Band, network: Network, login: string): void {
    const jobs = network.held.get(login)!;
    network.held.delete(login);
    if (jobs.size > 0) {
      network.ready.set(login, jobs);
      band.turns.add(network);
      this.#pump();
    } else this.#forgetIdle(band, network);
  }

  #takeOut(band: Band, network: Network, job: Job): void {
    const ready = network.ready.get(job.login);
    if (!(ready ?? network.held.get(job.login))?.delete(job)) return;
    network.queued -= 1;
    this.#queued -= 1;
    if (ready?.size === 0) network.ready.delete(job.login);
    if (network.ready.size === 0) band.turns.delete(network);
    this.#forgetIdle(band, network);
  }

  #forgetIdle(band: Band, network: Network): void {
    if (network.ready.size === 0 && network.held.size === 0) band.networks.delete(network.name);
  }

  #giveOneUp(): void {
    for (const band of [this.#guesses, this.#known]) {
      let longest: Network | undefined;
      for (const network of band.networks.values()) if (network.queued > (longest?.queued ?? 0)) longest = network;
      if (longest === undefined) continue;
      let most: Set<Job> = new Set();
      for (const jobs of [...longest.ready.values(), ...longest.held.values()]) if (jobs.size >= most.size) most = jobs;
      const last = [...most].at(-1)!;
      this.#takeOut(band, longest, last);
      last.giveUp();
      return;
    }
  }
}
