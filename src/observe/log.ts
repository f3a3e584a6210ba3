import { createRequire } from 'node:module';
import { isatty } from 'node:tty';
import { type DestinationStream, type Logger, type LoggerOptions, pino } from 'pino';
import type { LogConfig } from '../config/config.js';
import { redactUrls } from '../config/redact.js';
import { harmlessJson } from './json-text.js';
import { printable } from './printable.js';

export type Log = Logger;

const standardOutput = 1;

/** The logs of parts, by the log that they are children of: each has a level of its own from then on. */
const childrenOf = new WeakMap<Log, Set<WeakRef<Log>>>();

/** A reader of the log that stands still costs lines, never the broker: beyond this they are dropped. */
const bufferedLogBytes = 4 * 1024 * 1024;
/** A line waits so long for those that follow, and no longer than until there are so many characters. */
const togetherMs = 20;
const pieceLength = 64 * 1024;

/**
 * Makes the process's log; every part gets it, or a child of it, as an argument. Lines go to standard output, or to
 * `destination` when one is given.
 */
export function createLog(config: LogConfig, destination?: DestinationStream): Log {
  const stacks = config.level === 'debug' || config.level === 'trace';
  const options: LoggerOptions = {
    level: config.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: (error: unknown) => describe(error, stacks) },
    // Also a log in JSON is looked at, on a terminal or a page.
    hooks: { streamWrite: harmlessJson },
    // Nobody logs these; should somebody ever, this is the second lock.
    redact: { paths: secretPaths(['password', 'hash', 'key', 'proof']), censor: '[hidden]' },
  };
  const terminal = destination === undefined && isatty(standardOutput);
  if (config.format === 'pretty' || (config.format === 'auto' && terminal)) {
    return parent(options, pretty(terminal, destination ?? pino.destination({ fd: standardOutput, sync: true })));
  }
  return parent(options, destination ?? together());
}

/**
 * Standard output, lines that follow each other closely in one piece: a write for each of its two lines cost a connection
 * that comes and goes as much as all else that the log does for it. At the end of the process what is left is written.
 */
function together(): DestinationStream & { flush(done?: (error?: Error) => void): void } {
  // Every piece is longer than one byte, so each is written at once; with zero, flushing would wait for nothing.
  const output = pino.destination({ fd: standardOutput, sync: false, minLength: 1, maxLength: bufferedLogBytes });
  let lines: string[] = [];
  let length = 0;
  function writePiece(): void {
    if (length === 0) return;
    const piece = lines.join('');
    lines = [];
    length = 0;
    process.off('exit', writePiece);
    output.write(piece);
  }
  return {
    write(line) {
      if (length === 0) {
        setTimeout(writePiece, togetherMs);
        // Before the destination's own, which writes what it has; only while there is something, since a process may make
        // many logs.
        process.prependListener('exit', writePiece);
      }
      lines.push(line);
      length += line.length;
      if (length > pieceLength) writePiece();
    },
    flush(done) {
      writePiece();
      output.flush(done);
    },
  };
}

function parent(options: LoggerOptions, destination: DestinationStream): Log {
  const children = new Set<WeakRef<Log>>();
  const log = pino({ ...options, onChild: (child) => void children.add(new WeakRef(child)) }, destination);
  childrenOf.set(log, children);
  return log;
}

/** From now on lines of this level and above are written, by the log and by those of the parts that were made of it. */
export function setLogLevel(log: Log, level: LogConfig['level']): void {
  log.level = level;
  for (const child of childrenOf.get(log) ?? []) {
    const alive = child.deref();
    if (alive === undefined) childrenOf.get(log)!.delete(child);
    else alive.level = level;
  }
}

/** Resolves when everything logged so far is written, or after a second when nobody reads it. For the end of a process. */
export function flushLog(log: Log): Promise<void> {
  return new Promise((resolve) => {
    const deadline = setTimeout(resolve, 1_000);
    log.flush(() => {
      clearTimeout(deadline);
      resolve();
    });
  });
}

/** What pino-pretty shows as it is; everything else it shows as JSON, where an escape sequence is none. */
const shownRaw = ['msg', 'name', 'hostname', 'pid', 'caller', 'level', 'time', 'stack'];
/** Begins and ends a colour. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence begins with one
const colour = /(\u001b\[\d{1,2}m)/;

/** In this thread and at once, so that the last lines before an exit are seen. */
function pretty(colorize: boolean, destination: DestinationStream): DestinationStream {
  // Loaded only here, which a log in JSON does without: 42 of the 722 files that a start would read.
  const { prettyFactory } = createRequire(import.meta.url)('pino-pretty') as typeof import('pino-pretty');
  const format = prettyFactory({
    colorize,
    singleLine: true,
    errorLikeObjectKeys: [],
    translateTime: 'SYS:yyyy-mm-dd HH:MM:ss.l',
  });
  return {
    write: (line) => {
      const fields = JSON.parse(line) as Record<string, unknown>;
      for (const key of shownRaw) if (typeof fields[key] === 'string') fields[key] = printable(fields[key]);
      // Between the colours, which are pino-pretty's own, nothing acts on the terminal, or begins another line.
      const parts = format(fields).trimEnd().split(colour);
      const shown = parts.map((part) => (colour.test(part) ? part : printable(part).replaceAll('\n', '\\n')));
      destination.write(`${shown.join('')}\n`);
    },
  };
}

function secretPaths(names: readonly string[]): string[] {
  return names.flatMap((name) => [name, `*.${name}`]);
}

/** An error on one line: its message and those of its causes. The stacks only when somebody is debugging. */
function describe(error: unknown, stacks: boolean): unknown {
  if (!(error instanceof Error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  return {
    message: redactUrls(error.message),
    ...(code === undefined ? {} : { code }),
    ...(error.cause === undefined ? {} : { cause: describe(error.cause, stacks) }),
    ...(stacks && error.stack !== undefined ? { stack: redactUrls(error.stack) } : {}),
  };
}
