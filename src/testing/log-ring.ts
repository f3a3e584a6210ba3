const keptLines = 200;
const namedLines = 8;
/** What every line has, and nobody who reads an error needs. */
const unsaid = new Set(['level', 'time', 'msg', 'part', 'event']);

/** The broker's last log lines, for the error of whoever waited in vain. */
export class LogRing {
  readonly #lines: string[] = [];

  write(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > keptLines) this.#lines.shift();
  }

  clear(): void {
    this.#lines.length = 0;
  }

  /** Every line kept, as it was written. */
  all(): string[] {
    return [...this.#lines];
  }

  /** Warnings and errors, in words. */
  describe(): string[] {
    const warnings = this.#lines.map(inWords).filter((line) => line !== null);
    if (warnings.length === 0) return [];
    return ['The broker warned:', ...warnings.slice(-namedLines).map((line) => `  ${line}`)];
  }
}

function inWords(line: string): string | null {
  let fields: Record<string, unknown>;
  try {
    fields = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return line.trim();
  }
  if (!['warn', 'error', 'fatal'].includes(String(fields.level))) return null;
  const rest = Object.entries(fields)
    .filter(([key]) => !unsaid.has(key))
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return [String(fields.msg), ...rest].join(' ');
}
