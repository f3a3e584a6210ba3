// What is packed is built anew: nothing of an older build, and no source maps.
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
rmSync('dist', { recursive: true, force: true });
const compiler = 'node_modules/typescript/bin/tsc';
const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.json', '--sourceMap', 'false'], {
  stdio: ['ignore', 2, 2],
});
process.exitCode = status ?? 1;
