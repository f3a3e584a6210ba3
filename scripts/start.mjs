// `npm start`: in a fresh clone installs and builds first, then serves. Arguments go to the command:
// `npm start -- --config my.yaml`.
import './node-version.mjs';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, ensureNodeModules } from './ensure.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const entry = join(root, 'dist', 'main.js');

const newestSource = () =>
  Math.max(
    ...readdirSync(join(root, 'src'), { recursive: true }).map((file) => statSync(join(root, 'src', file)).mtimeMs),
  );

ensureNodeModules(root);
if (!existsSync(entry) || statSync(entry).mtimeMs < newestSource()) {
  console.error('Building …');
  build(root, 'tsconfig.json');
}
// In this process, not in a child, and package.json starts it with exec, so without a shell in between: a signal to npm
// start reaches the broker itself.
process.argv.splice(1, 1, entry, 'serve');
await import(entry);
