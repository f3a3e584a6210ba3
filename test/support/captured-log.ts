import { Writable } from 'node:stream';
import { pino } from 'pino';
import type { Log } from '../../src/observe/log.js';

export interface CapturedLog {
  readonly log: Log;
  /** Every line so far, parsed. */
  lines(): Record<string, unknown>[];
  /** Everything so far, as written. */
  text(): string;
  /** Forgets what was written so far. */
  clear(): void;
  /** Resolves with the first line, past or future, whose message matches; rejects after the deadline. */
  waitFor(message: RegExp, timeoutMs?: number): Promise<Record<string, unknown>>;
}

/** A log at level trace that keeps what is written. */
export function captureLog(): CapturedLog {
  const written: string[] = [];
  const watchers = new Set<() => void>();
  const stream = new Writable({
    write(chunk, _encoding, done) {
      written.push(String(chunk));
      for (const watcher of watchers) watcher();
      done();
    },
  });
  const lines = (): Record<string, unknown>[] => written.map((line) => JSON.parse(line));
  return {
    log: pino({ level: 'trace' }, stream),
    lines,
    text: () => written.join(''),
    clear: () => {
      written.length = 0;
    },
    waitFor(message, timeoutMs = 10_000) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          watchers.delete(look);
          reject(new Error(`no log line matched ${message} within ${timeoutMs} ms:\n${written.join('')}`));
        }, timeoutMs);
        const look = (): void => {
          const line = lines().find((each) => message.test(String(each.msg)));
          if (line === undefined) return;
          clearTimeout(timer);
          watchers.delete(look);
          resolve(line);
        };
        watchers.add(look);
        look();
      });
    },
  };
}
