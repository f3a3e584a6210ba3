import type { Clock } from '../clock.js';

export interface RateLimited {
  /**
   * Writes the first line of a key at once, and then at most one per period: the last one, with how many others were
   * suppressed. `write` is only called when the line is due, so building it costs nothing before.
   */
  line(key: string, write: (suppressed: number) => void): void;
  /** Writes what is held back and lets go of the timers. */
  close(): void;
}

interface Held {
  count: number;
  write: ((suppressed: number) => void) | null;
  cancel: () => void;
}

/** All keys beyond `maxKeys` share this one, so that inventing keys does not get more lines written. */
const overflow = '\0';

/** For lines that a client can cause at will: refusals, denials, plaintext connections. */
export function createRateLimited({ clock, periodMs = 10_000, maxKeys = 1_000 }: RateLimitedOptions): RateLimited {
  const keys = new Map<string, Held>();

  function line(key: string, write: (suppressed: number) => void): void {
    const own = keys.has(key) || keys.size < maxKeys ? key : overflow;
    const held = keys.get(own);
    if (held !== undefined) {
      held.count += 1;
      held.write = write;
      return;
    }
    keys.set(own, { count: 0, write: null, cancel: clock.after(periodMs, () => release(own)) });
    write(0);
  }

  /** A period is over: a quiet key is forgotten, a noisy one gets its line and another period. */
  function release(key: string): void {
    const held = keys.get(key);
    if (held === undefined) return;
    if (held.write === null) {
      keys.delete(key);
      return;
    }
    const { write, count } = held;
    held.write = null;
    held.count = 0;
    held.cancel = clock.after(periodMs, () => release(key));
    write(count - 1);
  }

  function close(): void {
    for (const { cancel, write, count } of keys.values()) {
      cancel();
      write?.(count - 1);
    }
    keys.clear();
  }

  return { line, close };
}

interface RateLimitedOptions {
  readonly clock: Clock;
  readonly periodMs?: number;
  readonly maxKeys?: number;
}
