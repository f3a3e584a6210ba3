import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdir, open, readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { whyNoFile } from '../errors.js';
import type { Log } from '../observe/log.js';

/** What whoever asks at the port must know, for all but health and totals. */
export class Token {
  readonly #path: string;
  readonly #log: Log;
  #digest: Buffer | null = null;

  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
  }

  /** Reads the file, and makes one if there is none. One that others may read is not used, and the log says so. */
  async load(): Promise<void> {
    this.#digest = null;
    if (this.#path === '') return;
    try {
      await this.#makeIfMissing();
      const { mode } = await stat(this.#path);
      const text = (await readFile(this.#path, 'utf8')).trim();
      const why = whyNot(mode, text);
      if (why === null) this.#digest = digestOf(text);
      else this.#log.error({ file: this.#path, reason: why }, 'the admin token is not used (admin.tokenFile)');
    } catch (error) {
      const reason = whyNoFile(error);
      this.#log.error({ file: this.#path, reason }, 'the admin token is not used (admin.tokenFile)');
    }
  }

  /** Takes as long whatever is wrong with it. */
  matches(given: string): boolean {
    return this.#digest !== null && timingSafeEqual(digestOf(given), this.#digest);
  }

  async #makeIfMissing(): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    const file = await open(this.#path, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST') return null;
      throw error;
    });
    if (file === null) return;
    try {
      await file.writeFile(`${randomBytes(32).toString('base64url')}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    this.#log.info({ file: this.#path }, 'made a token for the admin port');
  }
}

const SHORTEST = 32;

function whyNot(mode: number, text: string): string | null {
  if ((mode & 0o077) !== 0) return 'others than its owner may read it; chmod 600';
  if (text.length < SHORTEST) return `it has fewer than ${SHORTEST} characters; remove it, and the broker makes one`;
  return null;
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
