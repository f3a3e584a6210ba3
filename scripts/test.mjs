// `npm test`: installs what is missing, builds, and runs every test (or only the files whose path contains one of the
// words given: `npm test -- acl session`). Files run side by side, but for those that measure time: their first line is
// `// Runs alone: …`, and they run one after the other when the others are done.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { finished } from 'node:stream/promises';
import { run } from 'node:test';
import { spec, tap } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { ensureDebianPackages, ensureNodeModules } from './ensure.mjs';

/** These take longest and begin first, so that none of them is left over at the end. */
const longest = [
  'testing/package',
  'store/crash',
  'credentials/ldap-broker',
  'isolation/isolation',
  'conformance/bad-input',
];
const fileTimeoutMs = 300_000;

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

ensureNodeModules(root);
ensureDebianPackages({
  mosquitto_sub: 'mosquitto-clients',
  mosquitto_passwd: 'mosquitto',
  slapd: 'slapd',
  haproxy: 'haproxy',
  chromium: 'chromium',
  promtool: 'prometheus',
  '/usr/lib/postgresql': 'postgresql',
  ldapadd: 'ldap-utils',
  '/usr/bin/python3 paho.mqtt.client': 'python3-paho-mqtt',
});
rmSync('build', { recursive: true, force: true });
for (const project of ['tsconfig.test.json', 'tsconfig.json']) {
  const compiled = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', project], {
    stdio: 'inherit',
  });
  if (compiled.status !== 0) process.exit(compiled.status ?? 1);
}

const words = process.argv.slice(2);
const files = readdirSync('test', { recursive: true })
  .filter((file) => file.endsWith('.test.ts'))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
if (files.length === 0) {
  console.error(`No test file's path contains: ${words.join(', ')}`);
  process.exit(2);
}
const runsAlone = (file) => /^\/\/ runs alone\b/i.test(readFileSync(join('test', file), 'utf8'));
const isLong = (file) => longest.some((name) => file.startsWith(name));
const alone = files.filter(runsAlone);
const together = files.filter((file) => !alone.includes(file));
together.sort((a, b) => Number(isLong(b)) - Number(isLong(a)));

const total = { pass: 0, fail: 0, cancelled: 0 };
const failures = [];
// The processes of the files get the flags of this one.
process.execArgv.push('--enable-source-maps');
// Many tests wait, for a process that starts or a disk: more of them than there are processors keep those busy.
await runFiles(together, 2 * availableParallelism());
await runFiles(alone, 1);
const failed = total.fail + total.cancelled;
for (const failure of failures) console.log(`Failed: ${failure}`);
console.log(`${total.pass} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

/** Runs the files, prints what they say, and adds up the closing lines. */
async function runFiles(sources, concurrency) {
  if (sources.length === 0) return;
  const compiled = sources.map((file) => join('build', 'test', file.replace(/\.ts$/, '.js')));
  const events = run({ files: compiled, concurrency, timeout: fileTimeoutMs });
  events.on('test:diagnostic', ({ nesting, message }) => {
    const [, what, count] = /^(pass|fail|cancelled) (\d+)$/.exec(message) ?? [];
    if (nesting === 0 && what !== undefined) total[what] += Number(count);
  });
  events.on('test:fail', ({ name, file, details }) => {
    const inner = details.error?.failureType === 'subtestsFailed';
    if (!inner) failures.push(file === undefined ? name : `${relative(root, file)}: ${name}`);
  });
  const report = events.compose(process.stdout.isTTY ? new spec() : tap);
  report.pipe(process.stdout, { end: false });
  await finished(report);
}
