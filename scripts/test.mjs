// `npm test`: installs what is missing, builds, and runs every test (or only the files whose path contains one of the
// words given: `npm test -- acl session`). Several files share a process, as most of what a small one takes is loading the
// broker, and processes run side by side. A file whose first line is `// Own process: …` shares with nobody; one whose
// first line is `// Runs alone: …` measures time, and runs when the others are done.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { finished } from 'node:stream/promises';
import { run } from 'node:test';
import { spec, tap } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { ensureDebianPackages, ensureNodeModules } from './ensure.mjs';

/**
 * These take longest: each begins first and in a process of its own, so that none of them is left over at the end. Those
 * that mostly wait stand between those that mostly compute.
 */
const longest = [
  'credentials/ldap-broker',
  'store/crash',
  'isolation/isolation',
  'testing/package',
  'conformance/bad-input',
  'cluster/serve',
  'conformance/order',
  'cluster/failover',
  'isolation/mqtt5',
  'conformance/model',
  'cluster/haproxy',
  'cli/serve',
  'web/conformance',
  'cli/test',
  'bridge',
  'conformance/matrix',
];
/** How many of the others share a process. */
const filesPerProcess = 14;
const processTimeoutMs = 300_000;

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
const compiled = await Promise.all(['tsconfig.test.json', 'tsconfig.json'].map(compile));
if (compiled.includes(false)) process.exit(1);

const words = process.argv.slice(2);
const files = readdirSync('test', { recursive: true })
  .filter((file) => file.endsWith('.test.ts'))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
if (files.length === 0) {
  console.error(`No test file's path contains: ${words.join(', ')}`);
  process.exit(2);
}
const firstLine = (file) => /^.*/.exec(readFileSync(join('test', file), 'utf8'))[0];
const alone = files.filter((file) => firstLine(file).startsWith('// Runs alone: '));
const long = longest.flatMap((name) => files.filter((file) => file.startsWith(name) && !alone.includes(file)));
const own = files.filter((file) => firstLine(file).startsWith('// Own process: ') && !long.includes(file));
const sharing = files.filter((file) => ![...alone, ...long, ...own].includes(file));
// Many tests wait, for a process that starts or a disk: more of them than there are processors keep those busy.
const concurrency = Math.round(2.5 * availableParallelism());
const shared = Math.max(Math.ceil(sharing.length / filesPerProcess), Math.min(sharing.length, concurrency));
// Every n-th: what takes long often stands together in a folder.
const shares = Array.from({ length: shared }, (_, index) => sharing.filter((_, at) => at % shared === index));

const entries = join('build', 'processes');
mkdirSync(entries, { recursive: true });
const total = { pass: 0, fail: 0, cancelled: 0 };
const failures = [];
// The processes of the files get the flags of this one.
process.execArgv.push('--enable-source-maps');
await runProcesses([...long.map((file) => [file]), ...shares, ...own.map((file) => [file])], concurrency);
await runProcesses(
  alone.map((file) => [file]),
  1,
);
const failed = Math.max(total.fail + total.cancelled, failures.length);
for (const failure of failures) console.log(`Failed: ${failure}`);
console.log(`${total.pass} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

/** Whether it compiles. */
async function compile(project) {
  const args = ['node_modules/typescript/bin/tsc', '-p', project];
  const [status] = await once(spawn(process.execPath, args, { stdio: 'inherit' }), 'exit');
  return status === 0;
}

/** As the suite of a file is called. */
function nameOf(file) {
  return `test/${file}`;
}

/** Writes what imports the files one after the other, each into a suite of its name, which keeps its hooks its own. */
function writeEntry(sources) {
  const entry = join(entries, `${sources[0].replace(/\.test\.ts$/, '').replaceAll('/', '-')}.js`);
  const suites = sources.map((file) => {
    const compiled = `../test/${file.replace(/\.ts$/, '.js')}`;
    return `describe('${nameOf(file)}', async () => {\n  await import('${compiled}');\n});\n`;
  });
  writeFileSync(entry, `import { describe } from 'node:test';\n\n${suites.join('')}`);
  return entry;
}

/** Runs the files, each list in one process, prints what they say, and adds up the closing lines. */
async function runProcesses(lists, concurrency) {
  if (lists.length === 0) return;
  const events = run({ files: lists.map(writeEntry), concurrency, timeout: processTimeoutMs });
  events.on('test:diagnostic', ({ nesting, message }) => {
    const [, what, count] = /^(pass|fail|cancelled) (\d+)$/.exec(message) ?? [];
    if (nesting === 0 && what !== undefined) total[what] += Number(count);
  });
  // What a process says comes in one piece.
  let file = '';
  const begun = ({ name, nesting }) => {
    if (nesting === 0) file = name;
  };
  // A process that ends too early may say nothing of its last files, and a file that can't be imported has no tests.
  const missing = new Set(lists.flat().map(nameOf));
  const ended = ({ name, nesting }) => {
    if (nesting === 0) missing.delete(name);
  };
  events.on('test:start', begun).on('test:pass', ended).on('test:fail', ended);
  events.on('test:fail', ({ name, nesting, details }) => {
    if (details.error?.failureType === 'subtestsFailed') return;
    failures.push(nesting > 0 ? `${file}: ${name}` : relative(root, resolve(name)));
  });
  const report = events.compose(process.stdout.isTTY ? new spec() : tap);
  report.pipe(process.stdout, { end: false });
  await finished(report);
  for (const name of missing) failures.push(`${name} did not come to its end`);
}
