// What `npm start` and `npm test` need in a fresh clone, put there by the first of them that runs.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

/** Installs the packages of package-lock.json when there are none, or when the lockfile is newer than they are. */
export function ensureNodeModules(root) {
  const marker = join(root, 'node_modules', '.package-lock.json');
  if (existsSync(marker) && statSync(marker).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs) return;
  console.error('Installing the packages (npm ci) …');
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) {
    console.error('npm ci failed; what it printed above says why. Node.js 20 or later and npm are needed.');
    process.exit(1);
  }
}

/** Compiles a project of the tree; what the compiler says goes to standard error. */
export function build(root, project, ...options) {
  const compiler = join('node_modules', 'typescript', 'bin', 'tsc');
  const args = [compiler, '-p', project, ...options];
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) process.exit(1);
  if (project === 'tsconfig.json') markExecutable(root);
}

/** npx does so when it sees the command first, and never again: one that was built anew would be refused. */
function markExecutable(root) {
  chmodSync(join(root, 'dist', 'main.js'), 0o755);
}

const onPath = (command) =>
  isAbsolute(command)
    ? existsSync(command)
    : [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'].some((folder) =>
        existsSync(join(folder, command)),
      );

/** `command`, or `/usr/bin/python3 module`. */
function isThere(what) {
  const [command, module] = what.split(' ');
  if (!onPath(command)) return false;
  return module === undefined || spawnSync(command, ['-c', `import ${module}`]).status === 0;
}

/**
 * As root on Debian installs the packages of those commands (or, as `/usr/bin/python3 paho.mqtt`, modules of a Python) that are missing;
 * otherwise says which to install, and stops.
 */
export function ensureDebianPackages(packageOf) {
  const missing = Object.entries(packageOf)
    .filter(([what]) => !isThere(what))
    .map(([, name]) => name);
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0 || !onPath('apt-get')) {
    console.error(`The tests use real clients and servers. Please install: ${missing.join(' ')}`);
    console.error(`On Debian: sudo apt-get install ${missing.join(' ')}`);
    process.exit(2);
  }
  console.error(`Installing for the tests: ${missing.join(' ')} …`);
  const options = {
    stdio: ['ignore', 'ignore', 'inherit'],
    // A service that Debian would start by itself has no place here: the tests start their own.
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
  };
  spawnSync('apt-get', ['update', '-qq'], options);
  const { status } = spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], options);
  if (status !== 0) {
    console.error(`apt-get install ${missing.join(' ')} failed.`);
    process.exit(1);
  }
}
