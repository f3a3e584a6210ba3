import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock } from '../clock.js';

/** What the kernel tells nothing about (network file systems, some container mounts) is found by looking so often. */
const pollMs = 30_000;
/** Several files are usually written together: one call for all of them. */
const settleMs = 250;

/**
 * Calls `onChange` soon after any of `files` changed, appeared or went. Their folders are watched, not the files: a
 * file that is replaced by renaming takes its watch with it. Also calls once at the start, since the files may have
 * changed after the caller read them. Returns what ends it.
 */
export function watchFiles(options: {
  readonly files: readonly string[];
  readonly clock: Clock;
  readonly onChange: () => void;
}): () => void {
  const { files, clock, onChange } = options;
  let closed = false;
  let cancelSettling: (() => void) | null = null;
  let known: string | null = null;
  let looking = false;
  let again = false;

  async function look(): Promise<void> {
    again = looking;
    if (closed || looking) return;
    looking = true;
    const seen = await stampOf(files);
    looking = false;
    if (closed) return;
    // Asked meanwhile: what was seen may be old already.
    if (again) void look();
    if (seen === known) return;
    known = seen;
    onChange();
  }
  function settle(): void {
    if (closed || cancelSettling !== null) return;
    cancelSettling = clock.after(settleMs, () => {
      cancelSettling = null;
      void look();
    });
  }

  void look();
  const watchers: FSWatcher[] = [];
  for (const folder of new Set(files.map((file) => dirname(file)))) {
    try {
      const watcher = watch(folder, { persistent: false }, settle);
      // Too many watches, or the folder went: the slow look still finds the change.
      watcher.on('error', () => watcher.close());
      watchers.push(watcher);
    } catch {
      // The same.
    }
  }
  const stopPolling = clock.every(pollMs, () => void look());

  return () => {
    closed = true;
    cancelSettling?.();
    stopPolling();
    for (const watcher of watchers) watcher.close();
  };
}

async function stampOf(files: readonly string[]): Promise<string> {
  const stamps = files.map((file) =>
    stat(file, { bigint: true }).then(
      ({ ino, size, mtimeNs }) => `${ino}.${size}.${mtimeNs}`,
      (error: NodeJS.ErrnoException) => error.code ?? 'unreadable',
    ),
  );
  return (await Promise.all(stamps)).join(' ');
}
