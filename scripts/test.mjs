// `npm test`: installs what is missing, builds, and runs every test (or only the files whose path contains one of the
// words given: `npm test -- acl session`). Files run one after the other: many of them measure time or count sockets.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureDebianPackages, ensureNodeModules } from './ensure.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

/** Runs a command in the foreground and leaves with its exit code when it fails. */
function run(command, args) {
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

ensureNodeModules(root);
ensureDebianPackages({
  mosquitto_sub: 'mosquitto-clients',
  mosquitto_passwd: 'mosquitto',
  slapd: 'slapd',
  ldapadd: 'ldap-utils',
  '/usr/bin/python3 paho.mqtt.client': 'python3-paho-mqtt',
});
rmSync('build', { recursive: true, force: true });
run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.test.json']);
run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json']);

const words = process.argv.slice(2);
const files = readdirSync(join('build', 'test'), { recursive: true })
  .filter((file) => file.endsWith('.test.js'))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .map((file) => join('build', 'test', file))
  .sort();
if (files.length === 0 || !existsSync(files[0])) {
  console.error(`No test file's path contains: ${words.join(', ')}`);
  process.exit(2);
}
run(process.execPath, ['--enable-source-maps', '--test', '--test-concurrency=1', '--test-timeout=300000', ...files]);
