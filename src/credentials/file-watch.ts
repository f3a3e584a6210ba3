import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '../clock.js';

const pollMs = 2_000;
/** Editors and `cat >` empty a file before they fill it: a new state counts when it is still the same this much later. */
const settleMs = 60;

/** What tells two states of a file apart, also when both were written within one tick of its clock. */
export async function fileState(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch (error) {
    return `${(error as NodeJS.ErrnoException).code}`;
  }
}

export interface FileWatch {
  close(): void;
}

/**
 * Calls `onChange` when the file at `path` has got another state than `seen()`, and again every two seconds as long as
 * it has. Watches the folder, since a file that was replaced is another file; and looks by itself too, for network
 * file systems and mounts that tell nothing, and where the number of watches is used up.
 */
export function watchFile(options: {
  readonly path: string;
  readonly clock: Clock;
  readonly seen: () => string;
  readonly onChange: () => Promise<void>;
}): FileWatch {
  const { path, clock, seen, onChange } = options;
  let closed = false;
  let looking = false;
  let again = false;
  let watcher: FSWatcher | null = null;
  let cancelSettle = (): void => {};

  async function look(): Promise<void> {
    if (looking) {
      again = true;
      return;
    }
    looking = true;
    try {
      do {
        again = false;
        const state = await fileState(path);
        if (closed || state === seen()) continue;
        await new Promise<void>((resolve) => {
          const cancel = clock.after(settleMs, resolve);
          cancelSettle = () => {
            cancel();
            resolve();
          };
        });
        if (closed) return;
        if ((await fileState(path)) === state) await onChange();
        else again = true;
      } while (again && !closed);
    } finally {
      looking = false;
    }
  }

  try {
    watcher = watch(dirname(path), { persistent: false }, () => void look());
    // The folder itself may go away; looking by itself goes on.
    watcher.on('error', () => watcher?.close());
  } catch {
    watcher = null;
  }
  const cancelPoll = clock.every(pollMs, () => void look());

  return {
    close() {
      closed = true;
      cancelPoll();
      cancelSettle();
      watcher?.close();
    },
  };
}
