import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const testing = fileURLToPath(new URL('../../src/testing/index.js', import.meta.url));

/** Runs a script in a process of its own, with a folder for temporary files of its own, and parses what it prints. */
export async function measure(folder: string, script: string): Promise<Record<string, number>> {
  const file = join(folder, 'script.mjs');
  await writeFile(
    file,
    `const total = () => { const { user, system } = process.cpuUsage(); return (user + system) / 1_000; };
    const nodeMs = total();
    const { default: tls } = await import('node:tls');
    const { startBroker } = await import(${JSON.stringify(testing)});
    const loadingMs = total() - nodeMs;
    ${script}`,
  );
  const { stdout } = await run(process.execPath, ['--expose-gc', file], {
    env: { ...process.env, TMPDIR: folder },
    timeout: 90_000,
  });
  return JSON.parse(stdout);
}
