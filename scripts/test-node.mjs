// `npm run test:node`: the tests of start, walk, conformance and isolation on another Node.js than the one at hand (24
// unless told otherwise: `npm run test:node -- 22 26`), and what older ones say. The binaries come from npm and stay in
// node_modules/.cache.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureNodeModules } from './ensure.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
const tests = [
  'cli/serve',
  'cli/first-start',
  'readme-walk',
  'documentation',
  'conformance/',
  'isolation/isolation',
  'web/log-in',
  'web/websocket',
];
const tooOld = ['16', '18'];
const wanted = process.argv.slice(2);
if (wanted.some((version) => !/^\d+(\.\d+)*$/.test(version))) {
  console.error('Expected: versions of Node.js, such as 24 or 22.12.0');
  process.exit(2);
}

/** The binary of a version, from the platform's package of npm's `node`. */
function nodeOf(version) {
  const folder = join(root, 'node_modules', '.cache', 'node', version);
  const name = `node-${process.platform}-${process.arch}`;
  const binary = join(folder, 'node_modules', name, 'bin', 'node');
  if (existsSync(binary)) return binary;
  console.error(`Installing ${name}@${version} …`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n');
  const args = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error', `${name}@${version}`];
  const { status } = spawnSync('npm', args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0 || !existsSync(binary)) {
    console.error(`npm install ${name}@${version} failed; what it printed above says why.`);
    process.exit(1);
  }
  return binary;
}

/** What a command prints and how it ends, on that Node.js. */
function outcomeOn(binary, ...args) {
  const path = `${join(binary, '..')}:${process.env.PATH}`;
  const { status, stdout, stderr } = spawnSync(binary, args, { encoding: 'utf8', env: { ...process.env, PATH: path } });
  return { status, stdout, stderr };
}

ensureNodeModules(root);
let failed = 0;
for (const version of wanted.length > 0 ? wanted : ['24']) {
  const binary = nodeOf(version);
  console.log(`Node.js ${outcomeOn(binary, '--version').stdout.trim()}:`);
  const { status } = spawnSync(binary, [join('scripts', 'test.mjs'), ...tests], { stdio: 'inherit' });
  if (status !== 0) failed += 1;
}
for (const version of tooOld) {
  for (const args of [[join('dist', 'main.js'), '--version'], [join('scripts', 'start.mjs')]]) {
    const { status, stdout, stderr } = outcomeOn(nodeOf(version), ...args);
    const clear =
      status === 2 &&
      stdout === '' &&
      /^[^\n]*this is Node\.js v[\d.]+, and 20 or later is needed[^\n]*\n$/i.test(stderr);
    console.log(`${clear ? 'ok' : 'not ok'} - Node.js ${version}: ${args.join(' ')}: ${stderr.trim()}`);
    if (!clear) failed += 1;
  }
}
process.exitCode = failed === 0 ? 0 : 1;
