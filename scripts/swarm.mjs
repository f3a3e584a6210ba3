// `npm run swarm`: builds the broker and the swarm, and lets the one loose on the other. `npm run swarm -- --help`.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ensureNodeModules } from './ensure.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
ensureNodeModules(root);
for (const project of ['tsconfig.json', 'tsconfig.test.json']) {
  const compiler = join('node_modules', 'typescript', 'bin', 'tsc');
  const { status } = spawnSync(process.execPath, [compiler, '-p', project], { stdio: ['ignore', 2, 2] });
  if (status !== 0) process.exit(1);
}
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
const { main } = await import(pathToFileURL(join(root, 'build', 'test', 'isolation', 'swarm', 'cli.js')).href);
process.exitCode = await main(process.argv.slice(2));
