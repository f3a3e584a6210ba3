// `npm run bench`: this broker and, where it is installed, Debian's mosquitto under the same load, in alternation. All of
// them run all the time, and each round measures each of them for a moment: what else the machine does meanwhile, and how
// warm it is, meets all alike.
import { fork, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, ensureNodeModules } from './ensure.mjs';
import { readOptions } from './options.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const help = `npm run bench -- [--rounds N] [--seconds N] [--only WORD] [--against REV] [--floor] [--json]

Measures this broker and, where it is installed, Debian's mosquitto under the same load, in alternation; or this broker
and an earlier revision of it.

  --rounds N   how often each row is measured on each broker (10; a third of that where a broker must be started anew each
               time); the table shows medians, of the ratio too, and between which quartiles that was
  --seconds N  how long each measurement takes (1)
  --only WORD  only the rows whose name contains this
  --against R  a commit, branch or tag, in the place of mosquitto; with "mosquitto," before it, beside mosquitto
  --floor      also the least that Node.js can do over TLS, without being a broker (bench/floor.mjs)
  --json       every single measurement as JSON, in the place of the table

Example: npm run bench -- --rounds 5 --only "QoS 1"
         npm run bench -- --against HEAD~1 --only "1 → 1"
         npm run bench -- --against mosquitto,v0.1.0 --floor`;

const options = readOptions({
  help,
  options: {
    rounds: { type: 'string', default: '10' },
    seconds: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    against: { type: 'string' },
    floor: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
  positive: ['rounds', 'seconds'],
});
const [rounds, seconds] = [Number(options.rounds), Number(options.seconds)];

ensureNodeModules(root);
build(root, 'tsconfig.json');

const { brokers, builtIn, floor, onPath, prepare, start } = await import('../bench/brokers.mjs');
const { rows } = await import('../bench/rows.mjs');
const wanted = rows.filter(({ name }) => name.includes(options.only));
if (wanted.length === 0) {
  console.error(`No row's name contains: ${options.only}`);
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), 'iotlab-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
const against = options.against?.split(',') ?? ['mosquitto'];
if (!against.includes('mosquitto')) delete brokers.mosquitto;
for (const revision of against) if (revision !== 'mosquitto') brokers[revision] = builtIn(buildOf(revision));
if (options.floor) brokers.floor = floor;
if ('mosquitto' in brokers && !onPath('mosquitto')) {
  console.error('mosquitto is not installed (apt-get install mosquitto): not compared with it.');
  delete brokers.mosquitto;
}
const names = Object.keys(brokers);

/** Builds a revision of the project in a folder of its own, and returns that. */
function buildOf(revision) {
  const tree = join(folder, `revision-${revision.replaceAll('/', '-')}`);
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

/** One measurement of a row. */
async function measureRow(row, { port, pid, collects }, { ca, users }, timing) {
  const target = { ca, port, pid, collects };
  const keepers = [];
  try {
    return await row.run({
      users,
      measure: async (work, job) => (await worker({ work, target, users, ...timing, ...job })).result,
      keep: async (work, job) => {
        keepers.push((await worker({ work, target, ...job })).child);
      },
    });
  } finally {
    for (const keeper of keepers) keeper.disconnect();
  }
}

/** Before what counts, a broker is under the same load for so long. */
const warmupSeconds = 2;

/** A row of all brokers that run all the time, or of one after the other that is started for it: by name, round by round. */
async function measureRounds(row, common) {
  const taking = names.filter((name) => name !== 'floor' || row.floor);
  const running = new Map();
  const started = async (name) => {
    const broker = running.get(name) ?? (await start(name, brokers[name], folder));
    running.set(name, broker);
    return broker;
  };
  const stop = async (name) => {
    await running.get(name)?.stop();
    running.delete(name);
  };
  const results = new Map(names.map((name) => [name, []]));
  try {
    const count = row.fresh ? Math.ceil(rounds / 3) : rounds;
    for (let round = row.fresh ? 1 : 0; round <= count; round += 1) {
      // Turn and turn about, so that none always comes first.
      for (const name of round % 2 ? taking : taking.toReversed()) {
        process.stderr.write(`${row.name}: round ${round}/${count}: ${name}\n`);
        const timing = round === 0 ? { seconds: 0.1, warmup: warmupSeconds } : { seconds, warmup: row.fresh ? 1 : 0.5 };
        const result = await started(name)
          .then((broker) => measureRow(row, broker, common, timing))
          .catch((error) => {
            process.stderr.write(`  failed: ${error.message}\n`);
          });
        if (round > 0) results.get(name)[round - 1] = result;
        if (row.fresh) await stop(name);
      }
    }
  } finally {
    for (const name of names) await stop(name);
  }
  return results;
}

const common = await prepare(folder);
const measured = [];
for (const row of wanted) measured.push({ row, results: await measureRounds(row, common) });

const machine = `${cpus().length} × ${cpus()[0]?.model}, ${Math.round(totalmem() / 2 ** 30)} GB, Node.js ${process.version}`;
const versions = Object.fromEntries(names.map((name) => [name, brokers[name].version()]));
if (options.json) {
  const all = measured.map(({ row, results }) => ({ row: row.name, unit: row.unit, ...Object.fromEntries(results) }));
  console.log(JSON.stringify({ machine, versions, rounds, seconds, rows: all }, null, 2));
} else {
  const { table } = await import('../bench/table.mjs');
  console.log(table({ machine, versions, rounds, seconds, measured, names }));
}
