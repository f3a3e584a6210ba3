// `npm run swarm`: builds the broker and the swarm, and lets the one loose on the other. `npm run swarm -- --help`.
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build, ensureNodeModules } from './ensure.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
ensureNodeModules(root);
for (const project of ['tsconfig.json', 'tsconfig.test.json']) build(root, project);
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
const { main } = await import(pathToFileURL(join(root, 'build', 'test', 'isolation', 'swarm', 'cli.js')).href);
process.exitCode = await main(process.argv.slice(2));
