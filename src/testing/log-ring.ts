import type { LogLine } from './api.js';

const keptLines = 200;
const namedLines = 8;
/** What every line has, and nobody who reads an error needs. */
const unsaid = new Set(['level', 'time', 'msg', 'part', 'event']);

/** The broker's last log lines, for tests, and for the error of whoever waited in vain. */
export class LogRing {
  readonly #lines: LogLine[] = [];
  readonly #onLine: (line: LogLine) => void;

  constructor(onLine: (line: LogLine) => void = () => {}) {
    this.#onLine = onLine;
  }

  /** One line of JSON. */
  write(line: string): void {
    const parsed = JSON.parse(line) as LogLine;
    this.#lines.push(parsed);
    this.#onLine(parsed);
    if (this.#lines.length > keptLines) this.#lines.shift();
  }

  clear(): void {
    this.#lines.length = 0;
  }

  all(): LogLine[] {
    return [...this.#lines];
  }

  describe(): string[] {
    return describeWarnings(this.#lines);
  }
}

/** The last warnings and errors, in words: lines for somebody who wonders what went wrong. */
export function describeWarnings(lines: readonly LogLine[]): string[] {
  const warnings = lines.filter(({ level }) => ['warn', 'error', 'fatal'].includes(level)).map(inWords);
  if (warnings.length === 0) return [];
  return ['The broker warned:', ...warnings.slice(-namedLines).map((line) => `  ${line}`)];
}

/** A line as people read it: its message, and what it names. */
export function inWords(line: LogLine): string {
  const rest = Object.entries(line)
    .filter(([key]) => !unsaid.has(key))
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return [line.msg, ...rest].join(' ');
}
