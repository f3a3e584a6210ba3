import { mkdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '../clock.js';
import { Fault, UsageError, whyNoFile } from '../errors.js';
import { networkOf } from '../network.js';

export interface Ban {
  /** A login, or the network of an address. */
  readonly kind: 'login' | 'address';
  readonly name: string;
  /** Dates, in milliseconds since 1970. */
  readonly since: number;
  readonly until: number;
  /** For operators, and for whom it is about. */
  readonly reason: string;
}

/** More would be a list of somebody's making. */
export const MOST_BANS = 10_000;
/** What one takes besides its texts. */
const BYTES_PER_BAN = 300;

/**
 * Who is kept out for a while, although the password is right: logins, and, where somebody decides so by hand, addresses
 * (a classroom may be behind one). All of them end by themselves. Kept in a file, so that a restart changes nothing.
 */
export class Bans {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #balance: { add(bytes: number): void };
  readonly #bans = new Map<string, Ban>();
  /** Logins that nobody may use for a moment, and by how many that was asked for. */
  readonly #held = new Map<string, number>();
  #bytes = 0;
  #writing: Promise<void> = Promise.resolve();

  private constructor(path: string, clock: Clock, balance: { add(bytes: number): void }) {
    this.#path = path;
    this.#clock = clock;
    this.#balance = balance;
  }

  /**
   * Reads the file, if there is one; an empty path keeps them in memory alone. `balance` is told what is kept. Throws
   * `UsageError` when the file cannot be used: whom it keeps out would come in.
   */
  static async load(path: string, clock: Clock, balance: { add(bytes: number): void }): Promise<Bans> {
    const bans = new Bans(path, clock, balance);
    if (path !== '') for (const ban of await read(path)) bans.#bans.set(keyOf(ban.kind, ban.name), ban);
    bans.#account();
    return bans;
  }

  /** Until when a login or an address is kept out; null when it is not. */
  of(kind: Ban['kind'], name: string): Ban | null {
    if (this.#bans.size === 0) return null;
    const ban = this.#bans.get(keyOf(kind, name));
    return ban === undefined || ban.until <= this.#clock.epochMs() ? null : ban;
  }

  /** Why nobody may come in with this login now; null when whoever has it may. */
  keepsOut(login: string): 'banned' | 'being-removed' | null {
    if (this.#held.has(login)) return 'being-removed';
    return this.of('login', login) === null ? null : 'banned';
  }

  /** Lets nobody in with this login until what it returns is called. */
  hold(login: string): () => void {
    this.#held.set(login, (this.#held.get(login) ?? 0) + 1);
    return () => {
      const left = this.#held.get(login)! - 1;
      if (left === 0) this.#held.delete(login);
      else this.#held.set(login, left);
    };
  }

  /** Those in force, the first to end first. */
  list(): Ban[] {
    const now = this.#clock.epochMs();
    return [...this.#bans.values()].filter(({ until }) => until > now).sort((a, b) => a.until - b.until);
  }

  /** In force, and on disk, when it resolves. Another ban of the same is replaced. */
  async add(kind: Ban['kind'], name: string, until: number, reason: string): Promise<Ban> {
    if (this.list().length >= MOST_BANS) throw new Fault('E_BANS', `there are ${MOST_BANS} bans already`);
    const kept = kind === 'address' ? networkOf(name) : name;
    const ban: Ban = { kind, name: kept, since: this.#clock.epochMs(), until, reason };
    this.#bans.set(keyOf(kind, kept), ban);
    await this.#save();
    return ban;
  }

  /** False when there was none. */
  async remove(kind: Ban['kind'], name: string): Promise<boolean> {
    if (this.of(kind, name) === null) return false;
    this.#bans.delete(keyOf(kind, name));
    await this.#save();
    return true;
  }

  async #save(): Promise<void> {
    const bans = this.list();
    this.#bans.clear();
    for (const ban of bans) this.#bans.set(keyOf(ban.kind, ban.name), ban);
    this.#account();
    if (this.#path === '') return;
    const text = `${JSON.stringify({ bans }, null, 1)}\n`;
    const written = this.#writing.then(() => replace(this.#path, text));
    this.#writing = written.catch(() => {});
    await written;
  }

  #account(): void {
    let bytes = 0;
    for (const { name, reason } of this.#bans.values()) bytes += BYTES_PER_BAN + 2 * (name.length + reason.length);
    this.#balance.add(bytes - this.#bytes);
    this.#bytes = bytes;
  }
}

function keyOf(kind: Ban['kind'], name: string): string {
  return `${kind} ${kind === 'address' ? networkOf(name) : name}`;
}

async function read(path: string): Promise<Ban[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new UsageError(`admin.bansFile: ${path} cannot be read: ${whyNoFile(error)}`, { cause: error });
  }
  const bans = parse(text);
  if (bans === null) throw new UsageError(`admin.bansFile: ${path} is not what the broker wrote; remove it`);
  return bans;
}

function parse(text: string): Ban[] | null {
  try {
    const { bans } = JSON.parse(text) as { bans: unknown };
    return Array.isArray(bans) && bans.every(isBan) ? bans : null;
  } catch {
    return null;
  }
}

function isBan(value: unknown): value is Ban {
  const { kind, name, since, until, reason } = (value ?? {}) as Record<string, unknown>;
  const texts = typeof name === 'string' && typeof reason === 'string';
  return texts && (kind === 'login' || kind === 'address') && typeof since === 'number' && typeof until === 'number';
}

async function replace(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(temporary, text, { mode: 0o600, flush: true } as object);
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    const reason = `the bans cannot be written to ${path} (admin.bansFile): ${whyNoFile(error)}`;
    throw new Fault('E_BANS_FILE', reason, { cause: error });
  }
}
