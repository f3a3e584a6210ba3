import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Clock } from './clock.js';

/** What the kernel tells nothing about (network file systems, some container mounts) is found by looking so often. */
const pollMs = 2_000;
/**
 * Editors and `cat >` empty a file before they fill it, and several files are usually written together: a new state
 * counts when it is still the same this much later.
 */
const settleMs = 60;

/** What tells two states of the files apart, also when both were written within one tick of the file system's clock. */
export async function stateOf(files: readonly string[]): Promise<string> {
  const states = files.map((file) =>
    stat(file, { bigint: true }).then(
      ({ ino, size, mtimeNs, ctimeNs }) => `${ino} ${size} ${mtimeNs} ${ctimeNs}`,
      (error: NodeJS.ErrnoException) => `${error.code}`,
    ),
  );
  return (await Promise.all(states)).join(', ');
}

/**
 * Calls `onChange` when the files have got another state than `seen()`, and again every two seconds as long as they
 * have: who cannot use the new content yet need only wait. Their folders are watched, since a file that is replaced by
 * renaming takes its own watch with it. Returns what ends it.
 */
export function watchFiles(options: {
  readonly files: readonly string[];
  readonly clock: Clock;
  readonly seen: () => string;
  readonly onChange: () => Promise<void>;
}): () => void {
  const { files, clock, seen, onChange } = options;
  let closed = false;
  let looking = false;
  let again = false;
  /** Each ends one of the pauses in hand at once. */
  const pauses = new Set<() => void>();

  async function look(): Promise<void> {
    again = looking;
    if (looking) return;
    looking = true;
    try {
      do {
        again = false;
        const state = await stateOf(files);
        if (closed || state === seen()) continue;
        await pause(settleMs);
        if (closed) return;
        if ((await stateOf(files)) === state) await onChange();
        else again = true;
      } while (again && !closed);
    } finally {
      looking = false;
    }
  }

  function pause(durationMs: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        cancel();
        pauses.delete(end);
        resolve();
      };
      const cancel = clock.after(durationMs, end);
      pauses.add(end);
    });
  }

  async function lookFromTimeToTime(): Promise<void> {
    // The first time at once: they may have changed after the caller read them.
    while (!closed) {
      await look();
      await pause(pollMs);
    }
  }

  const watchers: FSWatcher[] = [];
  for (const folder of new Set(files.map((file) => dirname(file)))) {
    const names = files.filter((file) => dirname(file) === folder).map((file) => basename(file));
    try {
      const watcher = watch(folder, { persistent: false }, (event, name) => {
        // Others are written there too, as a log is with each line. Whatever is renamed or made may be what a link of the
        // name leads over.
        if (event === 'rename' || name === null || names.includes(name)) void look();
      });
      // The folder itself may go away, or the number of watches be used up; looking by itself goes on.
      watcher.on('error', () => watcher.close());
      watchers.push(watcher);
    } catch {
      // The same.
    }
  }
  void lookFromTimeToTime();

  return () => {
    closed = true;
    for (const end of pauses) end();
    for (const watcher of watchers) watcher.close();
  };
}
