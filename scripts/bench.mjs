// `npm run bench`: this broker and, where it is installed, Debian's mosquitto under the same load, in alternation.
import { fork, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, ensureNodeModules } from './ensure.mjs';
import { readOptions } from './options.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const help = `npm run bench -- [--rounds N] [--seconds N] [--only WORD] [--against REV] [--json]

Measures this broker and, where it is installed, Debian's mosquitto under the same load, in alternation; or this broker
and an earlier revision of it.

  --rounds N   how often each row is measured on each broker; the table shows medians (3)
  --seconds N  how long each measurement takes, after its warm-up (5)
  --only WORD  only the rows whose name contains this
  --against R  a commit, branch or tag, in the place of mosquitto
  --json       every single measurement as JSON, in the place of the table

Example: npm run bench -- --rounds 1 --only "QoS 1"
         npm run bench -- --against HEAD~1 --only "1 → 1"`;

const options = readOptions({
  help,
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
    against: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
  positive: ['rounds', 'seconds'],
});
const [rounds, seconds] = [Number(options.rounds), Number(options.seconds)];

ensureNodeModules(root);
build(root, 'tsconfig.json');

const { brokers, builtIn, onPath, prepare, start } = await import('../bench/brokers.mjs');
const { rows } = await import('../bench/rows.mjs');
const wanted = rows.filter(({ name }) => name.includes(options.only));
if (wanted.length === 0) {
  console.error(`No row's name contains: ${options.only}`);
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), 'iotlab-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
if (options.against !== undefined) {
  delete brokers.mosquitto;
  brokers[options.against] = builtIn(buildOf(options.against));
}
const names = Object.keys(brokers).filter((name) => name !== 'mosquitto' || onPath('mosquitto'));
if (names.length === 1) console.error('mosquitto is not installed (apt-get install mosquitto): no comparison.');

/** Builds a revision of the project in a folder of its own, and returns that. */
function buildOf(revision) {
  const tree = join(folder, 'revision');
  mkdirSync(tree);
  const run = (command, args, at = tree, input = undefined) => {
    const { status, stdout, error } = spawnSync(command, args, {
      ...{ cwd: at, input, maxBuffer: 2 ** 28, stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'inherit'] },
    });
    if (status === 0) return stdout;
    console.error(error?.message ?? `--against ${revision}: ${command} ${args.join(' ')} ended with ${status}.`);
    process.exit(2);
  };
  process.stderr.write(`building ${revision}\n`);
  run('tar', ['-x'], tree, run('git', ['archive', '--format=tar', `${revision}^{commit}`], root));
  const lock = (at) => readFileSync(join(at, 'package-lock.json'), 'utf8');
  if (lock(tree) === lock(root)) symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'));
  else run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  run(process.execPath, [join('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.json']);
  return tree;
}

/** Starts a worker; resolves with its answer and the process. */
function worker(job) {
  const child = fork(join(root, 'bench', 'worker.mjs'), [JSON.stringify(job)]);
  return new Promise((resolve, reject) => {
    child.once('message', ({ error, result }) => (error ? reject(new Error(error)) : resolve({ result, child })));
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${job.work}: the worker ended with ${code}`)));
  });
}

async function measureRow(row, name, { ca, users }) {
  const broker = await start(name, brokers[name], folder);
  const { port, pid, collects } = broker;
  const target = { ca, port, pid, collects };
  const keepers = [];
  try {
    return await row.run({
      users,
      seconds,
      measure: async (work, job) => (await worker({ work, target, users, ...job })).result,
      keep: async (work, job) => {
        keepers.push((await worker({ work, target, ...job })).child);
      },
    });
  } finally {
    for (const keeper of keepers) keeper.disconnect();
    await broker.stop();
  }
}

const common = await prepare(folder);
const measured = wanted.map((row) => ({ row, results: new Map(names.map((name) => [name, []])) }));
for (let round = 1; round <= rounds; round += 1) {
  for (const { row, results } of measured) {
    // Turn and turn about, so that no broker always comes first on a warm machine.
    for (const name of round % 2 ? names : names.toReversed()) {
      process.stderr.write(`round ${round}/${rounds}: ${row.name}: ${name}\n`);
      try {
        results.get(name).push(await measureRow(row, name, common));
      } catch (error) {
        process.stderr.write(`  failed: ${error.message}\n`);
      }
    }
  }
}

const machine = `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GB, Node.js ${process.version}`;
const versions = Object.fromEntries(names.map((name) => [name, brokers[name].version()]));
if (options.json) {
  const all = measured.map(({ row, results }) => ({ row: row.name, unit: row.unit, ...Object.fromEntries(results) }));
  console.log(JSON.stringify({ machine, versions, rounds, seconds, rows: all }, null, 2));
} else {
  const { table } = await import('../bench/table.mjs');
  console.log(table({ machine, versions, rounds, seconds, measured, names }));
}
