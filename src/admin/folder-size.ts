import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../clock.js';

/** Asked more often, the last answer is given. */
const FRESH_MS = 10_000;

/** Bytes of the files in a folder; 0 for `memory`, and where nothing can be read. */
export function measuredFolder(path: string, clock: Clock): () => Promise<number> {
  let atMs = Number.NEGATIVE_INFINITY;
  let last: Promise<number> = Promise.resolve(0);
  return () => {
    if (path !== 'memory' && clock.monotonicMs() - atMs > FRESH_MS) {
      atMs = clock.monotonicMs();
      last = measure(path);
    }
    return last;
  };
}

async function measure(path: string): Promise<number> {
  const files = await readdir(path).catch(() => []);
  const sizes = files.map((file) =>
    stat(join(path, file)).then(
      (it) => (it.isFile() ? it.size : 0),
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
