// `npm test`: see the help below. Several files share a process, as most of what a small one takes is loading the broker,
// and processes run side by side. A file whose first line is `// Own process: …` shares with nobody; one whose first line
// is `// Runs alone: …` runs when the others are done; `// Long: …` is left to `--long` (`// Long, runs alone: …`: both).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { finished } from 'node:stream/promises';
import { run } from 'node:test';
import { spec, tap } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { ensureDebianPackages, ensureNodeModules } from './ensure.mjs';
import { readOptions } from './options.mjs';
import { select, testFiles } from './test-files.mjs';

const help = `npm test [-- [--long] [WORD …]]

Installs what is missing, builds, and runs every test but those whose value is in repeating something often or for long.

  WORD    only the files whose path contains one of the words, the long ones too
  --long  the long ones alone

Example: npm test -- acl session`;

/** These take longest: each begins first and in a process of its own, so that none of them is left over at the end. */
const longest = [
  'testing/package',
  'cluster/failover-machine',
  'web/browser',
  'isolation/isolation.test',
  'conformance/bad-input',
  'credentials/ldap-broker',
  'isolation/mqtt5.test',
  'bridge',
  'store/crash',
];
/** These are short enough to fill, each in a process of its own, what is left when all others have begun. */
const last = ['cluster/serve', 'cli/serve', 'cli/test', 'admin/prometheus'];
/** How many of the others share a process. */
const filesPerProcess = 20;
const processTimeoutMs = 300_000;
/** What is said again of a failure at the end. */
const messageLines = 10;
const lineChars = 300;

const { words, long: onlyLong } = readOptions({
  help,
  options: { long: { type: 'boolean', default: false } },
  words: true,
});

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
// The tests' has all of src/: what users get need not be checked a second time.
const compiled = await Promise.all([compile('tsconfig.test.json'), compile('tsconfig.json', '--noCheck')]);
if (compiled.includes(false)) process.exit(1);

const all = testFiles('test');
const chosen = select(all, words, onlyLong);
if (chosen.length === 0) {
  console.error(`No ${onlyLong ? 'long ' : ''}test file's path contains: ${words.join(', ')}`);
  process.exit(2);
}
const alone = paths(chosen.filter((file) => file.alone));
const [first, closing] = [longest, last].map((names) =>
  names.flatMap((name) => paths(chosen.filter(({ path, alone }) => path.startsWith(name) && !alone))),
);
// Those that are in no list by name take long, too.
const own = paths(
  chosen.filter((file) => !file.alone && (file.own || file.long) && ![...first, ...closing].includes(file.path)),
);
const sharing = paths(chosen).filter((path) => ![...alone, ...first, ...own, ...closing].includes(path));
// Many tests wait, for a process that starts or a disk: more of them than there are processors keep those busy. The long
// ones do so by themselves, and some have deadlines.
const concurrency = Math.round((onlyLong ? 1 : 2.5) * availableParallelism());
const shared = Math.max(Math.ceil(sharing.length / filesPerProcess), Math.min(sharing.length, concurrency));
// Every n-th: what takes long often stands together in a folder.
const shares = Array.from({ length: shared }, (_, index) => sharing.filter((_, at) => at % shared === index));

const entries = join('build', 'processes');
mkdirSync(entries, { recursive: true });
const total = { pass: 0, fail: 0, cancelled: 0 };
const failures = [];
const warnings = [];
// The processes of the files get the flags of this one.
process.execArgv.push('--enable-source-maps', '--import', new URL('test-hook.mjs', import.meta.url).href);
const single = (files) => files.map((file) => [file]);
await runProcesses([...single(first), ...shares, ...single(closing), ...single(own)], concurrency);
await runProcesses(single(alone), 1);
const failed = Math.max(total.fail + total.cancelled, failures.length);
const left = chosen.some(({ long }) => long) ? [] : paths(all.filter(({ long }) => long));
if (words.length === 0 && left.length > 0) console.log(`Only with --long: ${left.join(', ')}`);
for (const warning of warnings) console.log(warning);
// At the very end, with what is wrong: where a log is cut, this is what is left of it.
for (const { name, message } of failures) console.log([`Failed: ${name}`, ...message].join('\n  '));
console.log(`${total.pass} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

function paths(files) {
  return files.map(({ path }) => path);
}

/** The first lines of what is wrong. */
function messageOf(error) {
  // The runner puts its own error around that of the test.
  const { cause = error } = error ?? {};
  const said = cause?.message ?? cause;
  const text = typeof said === 'string' ? said : inspect(cause);
  const lines = text.split('\n').map((line) => (line.length > lineChars ? `${line.slice(0, lineChars)}…` : line));
  return lines.length > messageLines ? [...lines.slice(0, messageLines), '…'] : lines;
}

/** Whether it compiles. */
async function compile(project, ...options) {
  const args = ['node_modules/typescript/bin/tsc', '-p', project, ...options];
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
    // Nothing else fails then but the exit code.
    if (message.startsWith('Warning: ')) warnings.push(`${file}: ${message}`);
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
    const what = nesting > 0 ? `${file}: ${name}` : relative(root, resolve(name));
    failures.push({ name: what, message: messageOf(details.error) });
  });
  const report = events.compose(process.stdout.isTTY ? new spec() : tap);
  report.pipe(process.stdout, { end: false });
  await finished(report);
  for (const name of missing) failures.push({ name: `${name} did not come to its end`, message: [] });
}
