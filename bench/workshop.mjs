// A folder and workers of a bench that has several at work, which are gone when it ends, however it ends.
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export function openWorkshop() {
  const folder = mkdtempSync(join(tmpdir(), 'iotlab-bench-'));
  const children = new Set();
  process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

  /** A worker that stays, once it is ready. */
  function keep(job) {
    const child = fork(fileURLToPath(new URL('worker.mjs', import.meta.url)), [JSON.stringify(job)]);
    children.add(child);
    return new Promise((resolve, reject) => {
      child.once('message', ({ error }) => (error ? reject(new Error(error)) : resolve(child)));
      child.once('exit', (code) => {
        children.delete(child);
        reject(new Error(`${job.work}: the worker ended with ${code}`));
      });
    });
  }
  return { folder, keep };
}
