// `npm run bench`: this broker and, where it is installed, Debian's mosquitto under the same load, in alternation.
import { fork, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureNodeModules } from './ensure.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const help = `npm run bench -- [--rounds N] [--seconds N] [--only WORD] [--json]

Measures this broker and, where it is installed, Debian's mosquitto under the same load, in alternation.

  --rounds N   how often each row is measured on each broker; the table shows medians (3)
  --seconds N  how long each measurement takes, after its warm-up (5)
  --only WORD  only the rows whose name contains this
  --json       every single measurement as JSON, in the place of the table

Example: npm run bench -- --rounds 1 --only "QoS 1"`;

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        rounds: { type: 'string', default: '3' },
        seconds: { type: 'string', default: '5' },
        only: { type: 'string', default: '' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    for (const name of ['rounds', 'seconds']) {
      if (!(Number(values[name]) > 0)) throw new Error(`--${name} ${values[name]}: it must be a number above 0.`);
    }
    return values;
  } catch (error) {
    console.error(`${error.message}\n\n${help}`);
    process.exit(2);
  }
}

const options = readOptions();
if (options.help) {
  console.log(help);
  process.exit(0);
}
const [rounds, seconds] = [Number(options.rounds), Number(options.seconds)];

ensureNodeModules(root);
const built = spawnSync(process.execPath, [join('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.json'], {
  cwd: root,
  stdio: ['ignore', 2, 2],
});
if (built.status !== 0) process.exit(1);

const { brokers, onPath, prepare, start } = await import('../bench/brokers.mjs');
const { rows } = await import('../bench/rows.mjs');
const names = Object.keys(brokers).filter((name) => name !== 'mosquitto' || onPath('mosquitto'));
if (names.length === 1) console.error('mosquitto is not installed (apt-get install mosquitto): no comparison.');
const wanted = rows.filter(({ name }) => name.includes(options.only));
if (wanted.length === 0) {
  console.error(`No row's name contains: ${options.only}`);
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), 'iotlab-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));

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
  const broker = await start(name, folder);
  const target = { ca, port: broker.port, pid: broker.pid };
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
