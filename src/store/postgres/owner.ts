import type pg from 'pg';
import type { Clock } from '../../clock.js';
import { Fault, UsageError } from '../../errors.js';
import type { Log } from '../../observe/log.js';
import type { PostgresPlace } from '../../postgres-url.js';
import { cut, type Found, findPrimary, isLost, usageError } from './primary.js';
import { epochsOf, makeTables, raiseEpochs, tryLocks, waitForLocks } from './slot-locks.js';

/** PostgreSQL ends a session that is silent for so long, and with it the locks. */
const LEASE_MS = 3_000;
const PING_MS = 500;
/** Without an answer for so long, another host may have become the primary. */
const SLOW_MS = 2_000;
/** A statement that takes longer will not be answered any more. */
const STALLED_MS = 20_000;
const RETRY_MS = 100;
/**
 * So long a standby leaves a database that has come back to the one who owned the slots before: it has their users, and
 * needs no more than RETRY_MS to see that the database is there.
 */
const PRECEDENCE_MS = 800;

export interface OwnerOptions {
  readonly place: PostgresPlace;
  readonly slots: readonly number[];
  readonly log: Log;
  readonly clock: Clock;
  /** Somebody else has the slots: this one waits until they are free. */
  readonly onStandby: () => void;
  /** Another broker has served these slots meanwhile: nothing that is in memory here is true any more. */
  readonly onFenced: (fault: Fault) => void;
}

/**
 * Who may write the rows of some slots. Their locks are held by the very connection that writes: whoever has lost it can
 * write no more, and whoever has the locks is the only one who can, at no cost for each commit. The epoch of a slot grows
 * with every new owner, so that one who comes back after a break knows whether there was another one.
 */
export class SlotOwner {
  readonly #options: OwnerOptions;
  #found: Found | null = null;
  /** Where it waits as a standby. */
  #waitingAt: Found | null = null;
  #epochs: string | null = null;
  #recovering: Promise<Found> | null = null;
  /** Whose host says nothing. */
  #lookingFrom: Found | null = null;
  #closed = false;
  #fault: Fault | null = null;
  #stopPing: () => void = () => {};
  /** Statements without an answer. */
  #asked = 0;
  #lastAnswerMs = 0;

  constructor(options: OwnerOptions) {
    this.#options = options;
  }

  /** Waits until nobody else has the locks: as a standby does, for as long as it takes. */
  async acquire(): Promise<void> {
    const { log, slots, clock, place, onStandby } = this.#options;
    for (let attempt = 0; ; attempt++) {
      const found = await this.#primary(Number.POSITIVE_INFINITY, this.#complaining());
      const { client } = found;
      try {
        if (attempt > 0) await this.#pause(PRECEDENCE_MS);
        if (!(await tryLocks(client, slots))) {
          if (attempt === 0) log.info({ slots: slots.length }, 'another broker has this shard: waiting as its standby');
          onStandby();
          await this.#whileAlive(found, waitForLocks(client, slots));
        }
        await makeTables(client);
        this.#epochs = await raiseEpochs(client, slots);
        await this.#begin(found);
        return;
      } catch (error) {
        cut(client, error as Error);
        if (this.#closed) throw closed();
        const usage = usageError(error, place);
        if (usage !== null) throw usage;
        log.debug({ err: error }, 'the wait for the shard begins again');
        await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve));
      }
    }
  }

  /** As `acquire`, but throws when somebody has them. */
  async acquireNow(): Promise<void> {
    const { slots, clock } = this.#options;
    const found = await this.#primary(clock.monotonicMs());
    const { client } = found;
    try {
      if (!(await tryLocks(client, slots))) {
        const text = 'storage.url: a broker has these users open. Stop the brokers first, those of all shards.';
        throw new UsageError(text, { code: 'E_STORE_LOCKED' });
      }
      await makeTables(client);
      this.#epochs = await raiseEpochs(client, slots);
      await this.#begin(found);
    } catch (error) {
      cut(client, error as Error);
      throw error;
    }
  }

  /** Runs a statement as the owner. While the database fails over it waits, and is sent again: it may be sent twice. */
  async run<T>(work: (client: pg.Client) => Promise<T>, untilMs: number): Promise<T> {
    for (;;) {
      if (this.#fault !== null) throw this.#fault;
      const found = this.#found ?? (await this.#recoveredBy(untilMs));
      try {
        return await this.#counted(work(found.client));
      } catch (error) {
        if (!isLost(error, found.client)) throw error;
        this.#drop(found, error as Error);
        if (this.#closed || this.#options.clock.monotonicMs() > untilMs) throw error;
      }
    }
  }

  /** A connection for reading alone, to the primary. */
  async reader(untilMs: number): Promise<pg.Client> {
    return (await this.#primary(untilMs)).client;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopPing();
    const found = this.#found;
    this.#found = null;
    if (this.#waitingAt !== null) cut(this.#waitingAt.client, closed());
    await found?.client.end().catch(() => {});
  }

  /** Opens what was closed; the epochs that it had are still to be those of the database. */
  reopen(): void {
    this.#closed = false;
  }

  #primary(untilMs: number, onTrouble?: (error: Error) => void): Promise<Found> {
    const { place, clock } = this.#options;
    return findPrimary({ place, clock, untilMs, over: () => this.#closed, ...(onTrouble && { onTrouble }) });
  }

  async #recoveredBy(untilMs: number): Promise<Found> {
    const { clock } = this.#options;
    let cancel = () => {};
    const late = new Promise<never>((_, reject) => {
      const fault = new Fault('E_STORE_LOST', 'the database does not come back');
      cancel = clock.after(Math.max(0, untilMs - clock.monotonicMs()), () => reject(fault));
    });
    return await Promise.race([this.#recovered(), late]).finally(cancel);
  }

  #recovered(): Promise<Found> {
    this.#recovering ??= this.#recover().finally(() => {
      this.#recovering = null;
    });
    return this.#recovering;
  }

  /** Until the database is there again, however long that takes. */
  async #recover(): Promise<Found> {
    const { log, slots } = this.#options;
    for (;;) {
      const found = await this.#primary(Number.POSITIVE_INFINITY);
      const { client } = found;
      try {
        const ours = await tryLocks(client, slots);
        // After the locks: until then somebody might have come and gone.
        if ((await epochsOf(client, slots)) !== this.#epochs) throw this.#fenced();
        if (ours && !this.#closed) {
          await this.#begin(found);
          log.info({ host: found.host }, 'the database is there again, and the shard is still ours');
          return found;
        }
        cut(client, new Error('the locks are held elsewhere'));
      } catch (error) {
        cut(client, error as Error);
        if (error instanceof Fault) throw error;
      }
      if (this.#closed) throw closed();
      await this.#pause(RETRY_MS);
    }
  }

  #fenced(): Fault {
    const fault = new Fault('E_STORE_FENCED', 'another broker has served this shard meanwhile: this one ends');
    this.#fault = fault;
    this.#closed = true;
    this.#options.onFenced(fault);
    return fault;
  }

  async #begin(found: Found): Promise<void> {
    const { clock } = this.#options;
    const { client } = found;
    await client.query(`set lock_timeout = 0; set synchronous_commit = on; set idle_session_timeout = ${LEASE_MS}`);
    this.#found = found;
    client.on('error', (error) => this.#drop(found, error));
    client.on('end', () => this.#drop(found, new Error('the connection ended')));
    this.#stopPing();
    this.#asked = 0;
    const silence = () => (this.#asked === 0 ? 0 : clock.monotonicMs() - this.#lastAnswerMs);
    const slow = () => this.#found === found && silence() > SLOW_MS;
    this.#stopPing = clock.every(PING_MS, () => {
      const silentMs = silence();
      if (silentMs > STALLED_MS) this.#drop(found, new Error(`no answer for ${STALLED_MS} ms`));
      else if (silentMs > SLOW_MS) void this.#lookElsewhere(found, slow, (error) => this.#drop(found, error));
      else if (this.#asked === 0)
        this.#counted(client.query('select 1')).catch((error) => this.#drop(found, error as Error));
    });
  }

  /**
   * A host that died says nothing, and the commit that waits for it would wait for ever: who is the primary now? Asked
   * until one answers: the hosts that live say within RETRY_MS of it which of them was promoted, while an attempt at the
   * dead one lasts for two seconds.
   */
  async #lookElsewhere(found: Found, needed: () => boolean, leave: (error: Error) => void): Promise<void> {
    if (this.#lookingFrom === found) return;
    this.#lookingFrom = found;
    const { place, clock } = this.#options;
    try {
      const other = await findPrimary({ place, clock, untilMs: Number.POSITIVE_INFINITY, over: () => !needed() });
      cut(other.client, new Error('looked'));
      if (needed() && other.host !== found.host) leave(new Error(`${other.host} is the primary now`));
    } catch {
      // It answered, or was left, meanwhile.
    } finally {
      if (this.#lookingFrom === found) this.#lookingFrom = null;
    }
  }

  async #counted<T>(answer: Promise<T>): Promise<T> {
    const { clock } = this.#options;
    if (this.#asked++ === 0) this.#lastAnswerMs = clock.monotonicMs();
    try {
      return await answer;
    } finally {
      this.#asked = Math.max(0, this.#asked - 1);
      this.#lastAnswerMs = clock.monotonicMs();
    }
  }

  #drop(found: Found, error: Error): void {
    if (this.#found !== found) return;
    this.#found = null;
    this.#stopPing();
    cut(found.client, error);
    if (this.#closed) return;
    this.#options.log.warn({ host: found.host, reason: error.message }, 'the database was lost: looking for it');
    // At once, whether or not there is something to write: a standby waits for the locks too.
    this.#recovered().catch(() => {});
  }

  /** Who waits for a lock hears nothing: also of the end of the host where it waits. */
  async #whileAlive(found: Found, waiting: Promise<void>): Promise<void> {
    this.#waitingAt = found;
    const leave = (error: Error) => cut(found.client, error);
    const waits = () => this.#waitingAt === found;
    const stop = this.#options.clock.every(SLOW_MS, () => void this.#lookElsewhere(found, waits, leave));
    try {
      await waiting;
    } finally {
      stop();
      this.#waitingAt = null;
    }
  }

  /** Tells once of each thing that keeps it from the database. */
  #complaining(): (error: Error) => void {
    const told = new Set<string>();
    return ({ message }) => {
      if (told.has(message)) return;
      told.add(message);
      this.#options.log.warn({ reason: message }, 'the database is not there (storage.url): trying again');
    };
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#options.clock.after(ms, resolve));
  }
}

const closed = () => new Fault('E_STORE_CLOSED', 'the store is closed');
