// What is packed is built anew: nothing of an older build, and no source maps.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { markExecutable } from './ensure.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
rmSync('dist', { recursive: true, force: true });
const compiler = 'node_modules/typescript/bin/tsc';
const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.json', '--sourceMap', 'false'], {
  stdio: ['ignore', 2, 2],
});
if (status === 0) markExecutable(root);
process.exitCode = status ?? 1;
