import type { Clock } from '../clock.js';
import { Fault } from '../errors.js';
import type { Log } from '../observe/log.js';
import type { Database, OpenDatabase } from './database.js';
import { type Committed, Group, type RowValue, tellAll } from './group.js';
import type { KeyRange } from './keys.js';
import { Patience } from './patience.js';
import { firstRows, mergePending, rowByRow } from './pending-rows.js';

const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 10_000;
/** How long operations gather when nobody waits for a disk: most messages are acknowledged, and so cancelled, earlier. */
const MEMORY_GATHER_MS = 20;

/** Read at once: a promise for each row would cost more than the row. */
const CHUNK_ROWS = 1_000;
const CHUNK_BYTES = 64 * 1024;

export interface GroupCommitOptions {
  readonly db: Database;
  readonly open: OpenDatabase;
  readonly durable: boolean;
  readonly log: Log;
  readonly clock: Clock;
  /** Groups ripen whoever holds the clock, and a process lives until they are written: by a timer of the machine. */
  readonly ripen?: (callback: () => void, delayMs: number) => void;
}

/**
 * Everything that is to be stored in one turn of the event loop becomes one synced batch. One batch is on its way at a
 * time; what comes meanwhile is the next group, so that the slower the disk, the larger the groups. A group waits for a
 * moment first while most of what is put is acknowledged, and so taken away, that soon. Reads see what is pending. After
 * a fault nothing is forgotten: the operations of the failed batch wait, first in line, until the database, opened anew,
 * takes them.
 */
export class GroupCommit {
  readonly #open: OpenDatabase;
  readonly #durable: boolean;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #ripen: (callback: () => void, delayMs: number) => void;
  readonly #onFault: ((fault: Fault) => void)[] = [];
  readonly #onRecovered: (() => void)[] = [];
  /** Of `whenStored`, put off by a fault. */
  readonly #afterRecovery: (() => void)[] = [];
  #db: Database;
  #gathering = new Group();
  /** Between the one and the other: what is still there when its time has come is written. */
  #ripening: Group | null = null;
  #ripeAtMs = 0;
  #inFlight: Group | null = null;
  readonly #patience = new Patience();
  #scheduled = false;
  #fault: Fault | null = null;
  #retryMs = FIRST_RETRY_MS;
  #cancelRetry: () => void = () => {};
  #closing: Promise<void> | null = null;
  #closed = false;
  #settled: (() => void) | null = null;

  constructor(options: GroupCommitOptions) {
    this.#db = options.db;
    this.#open = options.open;
    this.#durable = options.durable;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#ripen = options.ripen ?? setTimeout;
  }

  get fault(): Fault | null {
    return this.#fault;
  }

  get idle(): boolean {
    return !this.#durable || (this.#inFlight === null && !this.#waiting);
  }

  onFault(callback: (fault: Fault) => void): void {
    this.#onFault.push(callback);
  }

  onRecovered(callback: () => void): void {
    this.#onRecovered.push(callback);
  }

  get #waiting(): boolean {
    return this.#ripening !== null || !this.#gathering.empty;
  }

  /** `fresh`: the caller knows that the key is neither stored nor pending. */
  put(key: string, value: RowValue, fresh = false): void {
    if (fresh) this.#patience.put();
    this.#gathering.put(key, value, fresh);
    if (!this.#scheduled) this.#schedule();
  }

  /**
   * `alone`: nothing else belongs to it, so that it may be true on disk before what was handed over in the same turn. A
   * message that another queue has now must not be gone while that queue's row is still to be written.
   */
  delete(key: string, alone = false): void {
    if (alone && !this.#gathering.operations.has(key) && this.#ripening?.spare(key)) {
      this.#patience.spared();
      return;
    }
    if (this.#gathering.delete(key) || this.#inFlight?.hasFresh(key)) this.#patience.spared();
    if (!this.#scheduled) this.#schedule();
  }

  committed(callback: Committed): void {
    if (this.#fault !== null) callback(this.#fault);
    else if (this.#closed) callback(new Fault('E_STORE_CLOSED', 'the store is closed'));
    else if (!this.#durable) callback(null);
    else if (!this.#gathering.empty) this.#gathering.callbacks.push(callback);
    else if (this.#ripening !== null) this.#ripening.callbacks.push(callback);
    else if (this.#inFlight !== null) this.#inFlight.callbacks.push(callback);
    else callback(null);
  }

  whenStored(callback: () => void): void {
    this.committed((fault) => {
      if (fault === null) callback();
      else this.#afterRecovery.push(callback);
    });
  }

  async get(key: string): Promise<Buffer | undefined> {
    for (const group of [this.#gathering, this.#ripening, this.#inFlight]) {
      const value = group?.valueOf(key);
      if (value !== undefined) return value ?? undefined;
    }
    return await this.#db.get(key);
  }

  settled(): Promise<Fault | null> {
    return new Promise((resolve) => this.committed(resolve));
  }

  /**
   * At most `count` rows in the order of their keys, once everything handed over so far is on disk; fewer, if these have
   * so many bytes.
   */
  async read(range: KeyRange, count: number, bytes: number): Promise<[string, Buffer][]> {
    if (!this.#durable) return await firstRows(this.chunks(range, count), count);
    await new Promise<void>((resolve) => this.whenStored(resolve));
    const iterator = this.#db.iterator({ ...range, limit: count, highWaterMarkBytes: bytes });
    try {
      return await iterator.nextv(count);
    } finally {
      await iterator.close();
    }
  }

  /** Rows in the order of their keys, as they are at the moment of the call, many at a time. */
  chunks(range: KeyRange, rows = CHUNK_ROWS): AsyncGenerator<[string, Buffer][]> {
    const pending = new Map<string, Buffer | null>();
    for (const group of [this.#inFlight, this.#ripening, this.#gathering]) group?.collect(range, pending);
    return mergePending(this.#db.iterator({ ...range, highWaterMarkBytes: CHUNK_BYTES }), pending, rows);
  }

  /** As `chunks`, row by row. */
  entries(range: KeyRange): AsyncGenerator<[string, Buffer]> {
    return rowByRow(this.chunks(range));
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  #schedule(): void {
    const now = this.#clock.monotonicMs();
    if (!this.#scheduled) this.#gathering.sinceMs = now;
    this.#scheduled = true;
    if (this.#fault !== null || this.#inFlight !== null) return;
    const waitMs = this.#ripening === null ? 0 : this.#ripeAtMs - now;
    if (!this.#durable) this.#clock.after(MEMORY_GATHER_MS, () => this.#start());
    else if (waitMs > 0) this.#ripen(() => this.#start(), waitMs);
    else setImmediate(() => this.#start());
  }

  #start(): void {
    this.#scheduled = false;
    if (this.#inFlight !== null || this.#fault !== null || this.#closed) return;
    const group = this.#ripe(this.#clock.monotonicMs());
    this.#patience.fade();
    if (group === null) {
      if (this.#waiting) this.#schedule();
      return;
    }
    this.#inFlight = group;
    if (group.operations.size === 0) this.#succeeded(group);
    else
      this.#write(group).then(
        () => this.#succeeded(group),
        (error) => this.#failed(group, error),
      );
  }

  /** What is to be written now; null: it has to wait. */
  #ripe(now: number): Group | null {
    const [ripening, gathering] = [this.#ripening, this.#gathering];
    const waitMs = this.#closing === null ? this.#patience.waitMs(this.#db.ripenMs ?? 0, now - gathering.sinceMs) : 0;
    this.#gathering = new Group();
    this.#ripening = waitMs > 0 && !gathering.empty ? gathering : null;
    this.#ripeAtMs = now + waitMs;
    if (waitMs > 0 || ripening === null) return waitMs > 0 ? ripening : gathering;
    ripening.absorb(gathering);
    return ripening;
  }

  async #write(group: Group): Promise<void> {
    const sinceMs = this.#clock.monotonicMs();
    await group.write(this.#db, this.#durable);
    this.#patience.written(this.#clock.monotonicMs() - sinceMs);
  }

  #succeeded(group: Group): void {
    const recovered = this.#fault !== null;
    this.#fault = null;
    this.#retryMs = FIRST_RETRY_MS;
    // Still in flight while they run: a callback that asks again stays behind those that asked before it.
    tellAll(group.callbacks, null, this.#log);
    this.#inFlight = null;
    if (recovered) {
      this.#log.info('the store can be written again');
      for (const callback of this.#afterRecovery.splice(0)) this.whenStored(callback);
      for (const callback of this.#onRecovered) callback();
    }
    if (this.#waiting) this.#schedule();
    else this.#scheduled = false;
    this.#settled?.();
  }

  /**
   * A batch that failed may still be on disk, in part or whole: its operations are not fresh any more. They go before
   * those that gathered meanwhile, which replace them key by key.
   */
  #failed(group: Group, error: unknown): void {
    group.noneFresh();
    for (const later of [this.#ripening, this.#gathering]) if (later !== null) group.absorb(later);
    const waiting = group.callbacks.splice(0);
    this.#gathering = group;
    this.#ripening = null;
    this.#inFlight = null;
    this.#scheduled = true;
    const reason = error instanceof Error ? error.message : String(error);
    if (this.#fault === null) {
      this.#fault = new Fault('E_STORE_WRITE', `the store cannot be written: ${reason}`, { cause: error });
      this.#log.error({ err: error, operations: group.operations.size }, 'the store cannot be written: trying again');
      for (const callback of this.#onFault) callback(this.#fault);
    } else {
      this.#log.debug({ err: error, retryMs: this.#retryMs }, 'the store still cannot be written');
    }
    tellAll(waiting, this.#fault, this.#log);
    this.#cancelRetry = this.#clock.after(this.#retryMs, () => void this.#retry());
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    this.#settled?.();
  }

  /** LevelDB takes nothing more after a failed sync, and a record cut short would hide those after it: open anew. */
  async #retry(): Promise<void> {
    const group = this.#gathering;
    this.#gathering = new Group();
    this.#inFlight = group;
    try {
      await this.#db.close();
      this.#db = await this.#open('existing');
      await this.#write(group);
    } catch (error) {
      this.#failed(group, error);
      return;
    }
    this.#succeeded(group);
  }

  async #finish(): Promise<void> {
    while (this.#inFlight !== null || (this.#fault === null && this.#waiting)) {
      if (this.#inFlight === null && (!this.#durable || this.#ripening !== null)) this.#start();
      await new Promise<void>((resolve) => {
        this.#settled = resolve;
        if (this.#inFlight === null && !this.#waiting) resolve();
      });
    }
    this.#cancelRetry();
    if (this.#fault !== null) {
      this.#gathering.callbacks.length = 0;
      await this.#retry();
      this.#cancelRetry();
    }
    const lost = this.#gathering.operations.size;
    const fault = this.#fault;
    this.#closed = true;
    await this.#db.close();
    if (fault !== null) {
      this.#log.error({ operations: lost }, 'the store was closed with operations that could not be written');
      throw fault;
    }
  }
}
