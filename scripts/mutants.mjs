// `npm run mutants`: makes one small change after the other to a copy of the source and looks whether the tests notice.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ensureNodeModules } from './ensure.mjs';
import { readOptions } from './options.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const help = `npm run mutants [-- [--list] [--seconds N] [WORD …]]

Each entry of test/mutants/ is a change to src/ that alters behaviour, with the test files that should notice it. They are
made one at a time in a copy of the tree in a temporary folder; it is built, and the tests are run until one fails: the
change is then killed. Exit code 1 when one survives, no longer applies or does not compile.

  WORD         only those whose name, file or list contains one of the words
  --list       names them and does nothing
  --seconds N  how long the tests of one change may take; longer counts as noticed (120)

Example: npm run mutants -- router`;

const options = readOptions({
  help,
  options: { list: { type: 'boolean', default: false }, seconds: { type: 'string', default: '120' } },
  positive: ['seconds'],
  words: true,
});

const folderOfLists = join(root, 'test', 'mutants');
const mutants = [];
for (const list of readdirSync(folderOfLists).sort()) {
  const { mutants: more } = await import(pathToFileURL(join(folderOfLists, list)));
  for (const mutant of more) {
    const wanted = options.words.length === 0 || options.words.some((word) => textOf(mutant, list).includes(word));
    if (wanted) mutants.push(mutant);
  }
}
if (mutants.length === 0) {
  console.error(`Nothing in test/mutants/ contains: ${options.words.join(', ')}`);
  process.exit(2);
}
if (options.list) {
  for (const { name, file } of mutants) console.log(`${file}: ${name}`);
  process.exit(0);
}

function textOf({ name, file }, list) {
  return `${name} ${file} ${list}`;
}

ensureNodeModules(root);
const copy = mkdtempSync(join(tmpdir(), 'iotlab-mutants-'));
/** Where the tests make their own folders: one that is killed leaves them behind. */
const temporary = join(copy, 'temporary');
let running = null;
process.on('exit', () => {
  endRunning();
  rmSync(copy, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

/** Ends the test that runs, and what it has started. */
function endRunning() {
  if (running === null) return;
  try {
    process.kill(-running.pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
  running = null;
}

function makeCopy() {
  const left = new Set(['node_modules', 'build', 'dist', 'data', '.git']);
  for (const name of readdirSync(root)) {
    if (!left.has(name)) cpSync(join(root, name), join(copy, name), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  mkdirSync(temporary);
}

/** Null, or what the compiler says. What a change leaves unused is no reason to refuse it. */
function build() {
  const unused = ['--noUnusedLocals', 'false', '--noUnusedParameters', 'false'];
  const incremental = ['--incremental', '--tsBuildInfoFile', join(copy, 'build', 'info')];
  const tsc = join('node_modules', 'typescript', 'bin', 'tsc');
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.test.json', ...unused, ...incremental], {
    cwd: copy,
    encoding: 'utf8',
  });
  return status === 0 ? null : stdout.trim();
}

/** Runs one test file up to its first failure. Resolves with the name of the test that failed; null when none did. */
function failureIn(test, timeoutMs) {
  const file = join('build', test.replace(/\.ts$/, '.js'));
  const flags = ['--enable-source-maps', '--test-reporter=tap'];
  const child = spawn(process.execPath, [...flags, file], {
    cwd: copy,
    env: { ...process.env, TMPDIR: temporary },
    // With a group of its own, so that what it starts ends with it.
    detached: true,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  running = child;
  return new Promise((resolve) => {
    let failure = null;
    let text = '';
    const end = (why) => {
      failure ??= why;
      endRunning();
    };
    const timer = setTimeout(() => end(`not done after ${Math.round(timeoutMs / 1000)} s`), timeoutMs);
    child.stdout.on('data', (bytes) => {
      text += bytes;
      const failed = /^\s*not ok \d+ - (.*)\n/m.exec(text);
      if (failed) end(failed[1]);
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      running = null;
      resolve(failure ?? (code === 0 ? null : `${test} ended with ${code}`));
    });
  });
}

async function firstFailure(tests, timeoutMs) {
  const until = performance.now() + timeoutMs;
  for (const test of tests) {
    const failure = await failureIn(test, until - performance.now());
    if (failure !== null) return `${test}: ${failure}`;
  }
  return null;
}

/** What becomes of one change: `killed` and by what, or why it was not. */
async function tryOut({ file, find, replace, also = [], tests }) {
  const path = join(copy, file);
  let text;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return { fate: 'no longer applies', detail: `${file} is not there` };
  }
  let changed = text;
  for (const edit of [{ find, replace }, ...also]) {
    const found = text.split(edit.find).length - 1;
    if (found !== 1)
      return { fate: 'no longer applies', detail: `its text is ${found} times in ${file}: ${edit.find}` };
    // As a function: in a string, `$&` and its like would mean something.
    changed = changed.replace(edit.find, () => edit.replace);
  }
  try {
    writeFileSync(path, changed);
    const complaint = build();
    if (complaint !== null) return { fate: 'does not compile', detail: complaint };
    const failure = await firstFailure(tests, options.seconds * 1000);
    return failure === null ? { fate: 'SURVIVED', detail: tests.join(', ') } : { fate: 'killed', detail: failure };
  } finally {
    writeFileSync(path, text);
  }
}

const start = performance.now();
const secondsSince = (then) => `${((performance.now() - then) / 1000).toFixed(1)} s`;
makeCopy();
console.log(`${mutants.length} changes, one after the other, in ${copy}`);
const complaint = build();
if (complaint !== null) {
  console.error(`The source does not compile:\n${complaint}`);
  process.exit(1);
}
// A test that fails anyway would kill everything.
for (const test of [...new Set(mutants.flatMap(({ tests }) => tests))].sort()) {
  const testStart = performance.now();
  const failure = await failureIn(test, options.seconds * 1000);
  console.log(`${failure === null ? 'passes' : 'FAILS'} unchanged: ${test} (${secondsSince(testStart)})`);
  if (failure === null) continue;
  console.error(`${test} fails without any change: ${failure}`);
  process.exit(1);
}

const fates = new Map();
for (const [index, mutant] of mutants.entries()) {
  const mutantStart = performance.now();
  const { fate, detail } = await tryOut(mutant);
  fates.set(fate, (fates.get(fate) ?? 0) + 1);
  console.log(
    `[${index + 1}/${mutants.length}] ${fate}: ${mutant.file}: ${mutant.name} (${secondsSince(mutantStart)})`,
  );
  console.log(`    ${detail.replaceAll('\n', '\n    ')}`);
}
const summary = [...fates].map(([fate, count]) => `${count} ${fate}`).join(', ');
console.log(`${mutants.length} changes: ${summary}; it took ${secondsSince(start)}.`);
process.exitCode = fates.get('killed') === mutants.length ? 0 : 1;
