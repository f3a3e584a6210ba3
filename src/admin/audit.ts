import { appendFile, mkdir, open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '../clock.js';
import { jsonText } from '../observe/json-text.js';
import type { Log } from '../observe/log.js';
import type { AdminContext } from './context.js';
import { type Caller, json, type Route } from './route.js';

export interface AuditEntry {
  readonly caller: Caller;
  /** Method, path and query. */
  readonly what: string;
  readonly body: string | null;
  readonly status: number;
  /** `done`, or the code of the refusal. */
  readonly result: string;
  /** Such lines that were left out before this one. */
  readonly suppressed?: number;
}

/** Who asked for what, from where, and what came of it: refusals too. No secret is in it. */
export interface Audit {
  write(entry: AuditEntry): void;
  /** The last lines, oldest first, once what was handed over is written. */
  tail(lines: number): Promise<readonly unknown[]>;
  /** Writes what is in hand. */
  close(): Promise<void>;
}

/** A file that is full takes the place of the one before it. */
const FILE_BYTES = 8 * 1024 * 1024;
/** Of a file, what is read for the last lines. */
const TAIL_BYTES = 256 * 1024;
/** Lines that wait for the disk; beyond them they are counted, not kept. */
const MOST_WAITING = 1_000;

export const NO_AUDIT: Audit = { write() {}, tail: async () => [], async close() {} };

/** JSON lines in a file of mode 0600 that is started anew, with one before it kept. An empty path keeps nothing. */
export function openAudit(path: string, { clock, log }: { readonly clock: Clock; readonly log: Log }): Audit {
  let waiting: string[] = [];
  let lost = 0;
  let bytes: number | null = null;
  let writing: Promise<void> | null = null;
  let told = false;

  async function writeAll(): Promise<void> {
    while (waiting.length > 0) {
      const text = waiting.join('');
      waiting = [];
      try {
        if (bytes === null) {
          await mkdir(dirname(path), { recursive: true, mode: 0o700 });
          bytes = await sizeOf(path);
        }
        if (bytes > FILE_BYTES) {
          await rename(path, `${path}.1`);
          bytes = 0;
        }
        await appendFile(path, text, { mode: 0o600 });
        bytes += Buffer.byteLength(text);
        told = false;
      } catch (err) {
        bytes = null;
        lost++;
        if (!told) log.error({ err, file: path }, 'the audit log cannot be written (admin.auditFile)');
        told = true;
      }
    }
    writing = null;
  }

  return {
    write({ caller, what, body, status, result, suppressed = 0 }) {
      if (path === '') return;
      if (waiting.length >= MOST_WAITING) {
        lost++;
        return;
      }
      const { door, address, claims, login } = caller;
      const line = {
        time: new Date(clock.epochMs()).toISOString(),
        door,
        ...(address === null ? {} : { address }),
        ...(login === undefined ? {} : { login }),
        ...(claims === null ? {} : { claims }),
        what,
        ...(body === null ? {} : { body }),
        status,
        result,
        ...(suppressed > 0 ? { suppressed } : {}),
        ...(lost > 0 ? { lost } : {}),
      };
      lost = 0;
      waiting.push(`${jsonText(line)}\n`);
      writing ??= writeAll();
    },
    async tail(lines) {
      await writing;
      if (path === '') return [];
      const text = await endOf(path);
      const whole = text.split('\n').filter((line) => line !== '');
      return whole.slice(-lines).flatMap((line) => parsed(line));
    },
    async close() {
      await writing;
    },
  };
}

/** The audit log, for whoever may read it anyway. */
export function auditRoutes({ audited }: AdminContext): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/audit',
      query: { limit: { kind: 'integer', min: 1, max: 1_000, otherwise: 100 } },
      answer: async ({ query }) => json({ entries: await audited(query.limit as number) }),
    },
  ];
}

async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

async function endOf(path: string): Promise<string> {
  const file = await open(path, 'r').catch(() => null);
  if (file === null) return '';
  try {
    const { size } = await file.stat();
    const from = Math.max(0, size - TAIL_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
    const text = buffer.toString('utf8', 0, bytesRead);
    return from === 0 ? text : text.slice(text.indexOf('\n') + 1);
  } finally {
    await file.close();
  }
}

/** A line that a crash cut short is left out. */
function parsed(line: string): unknown[] {
  try {
    return [JSON.parse(line)];
  } catch {
    return [];
  }
}
