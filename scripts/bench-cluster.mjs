// `npm run bench:cluster`: what a message and a connection cost each process of docs/cluster.md, and how long a start takes:
// a broker alone, brokers behind HAProxy, and with their store in PostgreSQL.
import { execFileSync, fork, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { build, ensureDebianPackages, ensureNodeModules } from './ensure.mjs';
import { readOptions } from './options.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const help = `npm run bench:cluster -- [--rounds N] [--seconds N] [--only WORD]

  --rounds N   how often each row is measured; the table shows medians (3)
  --seconds N  how long each measurement takes, after its warm-up (5)
  --only WORD  only the rows whose name contains this`;

const options = readOptions({
  help,
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
  },
  positive: ['rounds', 'seconds'],
});
process.chdir(root);
ensureNodeModules(root);
ensureDebianPackages({ haproxy: 'haproxy', '/usr/lib/postgresql': 'postgresql' });
for (const project of ['tsconfig.json', 'tsconfig.test.json']) build(root, project);
const { prepare } = await import('../bench/brokers.mjs');
const { cpuMicroseconds } = await import('../bench/process.mjs');
const { writeKept } = await import('../bench/kept.mjs');
const { freePort } = await import(join(root, 'build', 'test', 'support', 'ports.js'));
const { Postgres } = await import(join(root, 'build', 'test', 'support', 'postgres.js'));
const { shardOf } = await import(join(root, 'dist', 'shard.js'));

const folder = mkdtempSync(join(tmpdir(), 'iotlab-bench-'));
const endings = [() => rmSync(folder, { recursive: true, force: true })];
const scope = { after: (end) => endings.push(end) };
const common = await prepare(folder);
const [rounds, seconds] = [Number(options.rounds), Number(options.seconds)];

const STARTS = 5;
const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];

const databaseProcesses = `select pid from pg_stat_activity where backend_type in ('walwriter', 'checkpointer',
  'background writer') or pid in (select pid from pg_locks where locktype = 'advisory')`;

/** The configuration of a broker that keeps its rows in a folder of its own, or in PostgreSQL. */
async function configure(url) {
  const [port, adminPort] = [await freePort(), await freePort()];
  const its = mkdtempSync(join(folder, 'run-'));
  const file = join(its, 'broker.yaml');
  const at = (name) => join(folder, name);
  const config = {
    listener: { host: '127.0.0.1', port, cert: at('server.pem'), key: at('server.key'), ca: at('ca.pem') },
    credentials: { file: { path: at('users') } },
    storage: { path: 'store', url },
    cluster: { proxy: { folder: 'run', threads: 1 } },
    admin: { port: adminPort, socket: 'admin.sock' },
    log: { format: 'json' },
  };
  writeFileSync(file, JSON.stringify(config));
  return { file, port, log: join(its, 'log') };
}

const main = join(root, 'dist', 'main.js');

/** Resolves when it serves. */
async function serve({ file, log }, shards) {
  const output = openSync(log, 'w');
  const args = shards === 0 ? [] : ['--shards', `${shards}`];
  const startedMs = performance.now();
  const child = spawn(process.execPath, [main, 'serve', ...args, '--config', file], {
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  const gone = new Promise((resolve) => child.once('exit', resolve));
  const ready = shards === 0 ? 'broker started' : 'all shards serve';
  while (!readFileSync(log, 'utf8').includes(ready)) {
    if (child.exitCode !== null) throw new Error(readFileSync(log, 'utf8'));
    await sleep(5);
  }
  const readyMs = performance.now() - startedMs;
  return {
    ...{ pid: child.pid, readyMs, readyCpuMs: cpuMicroseconds(child.pid) / 1_000 },
    async stop() {
      child.kill();
      await gone;
    },
  };
}

/** Starts a broker, or `shards` of them behind HAProxy, and resolves with what is measured of it. */
async function start({ shards = 0, url = '' }) {
  const configured = await configure(url);
  const { file, port } = configured;
  const serving = await serve(configured, shards);
  let [pid, beside] = [[serving.pid], []];
  if (shards > 0) {
    const table = execFileSync(process.execPath, [main, 'cluster', 'status', '--config', file], { encoding: 'utf8' });
    pid = [...table.matchAll(/^ +\d+ +(\d+) +serves/gm)].map(([, it]) => Number(it));
    beside = [Number(/HAProxy: pid (\d+)/.exec(table)[1])];
  }
  // Of the database what works for the broker, and what writes to the disk.
  if (url !== '') beside = (await postgres.ask(databaseProcesses)).map((row) => row.pid);
  return { target: { ca: common.ca, port, pid, beside }, stop: serving.stop };
}

/** From the start of the process until it serves, with what it keeps: the median of a few. */
async function starts({ url = '' }) {
  const configured = await configure(url);
  const kept = join(folder, 'kept.jsonl');
  if (!existsSync(kept)) writeKept(kept, common.users, 10_000, 10);
  const args = [main, 'storage', 'import', kept, '--config', configured.file];
  execFileSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'ignore'] });
  const times = [];
  for (let time = 0; time < STARTS; time += 1) {
    const serving = await serve(configured, 0);
    times.push(serving);
    await serving.stop();
  }
  const of = (key) => median(times.map((it) => it[key]));
  return { readyMs: of('readyMs'), readyCpuMs: of('readyCpuMs') };
}

function worker(job) {
  const child = fork(join(root, 'bench', 'worker.mjs'), [JSON.stringify(job)]);
  return new Promise((resolve, reject) => {
    child.once('message', ({ error, result }) => (error ? reject(new Error(error)) : resolve(result)));
    child.once('error', reject);
  });
}

/** As many for each shard, in turn. */
function usersOf(shards, each) {
  const all = Array.from({ length: shards }, (_, shard) =>
    common.users.filter(({ login }) => shardOf(login, shards) === shard),
  );
  return Array.from({ length: each * shards }, (_, index) => all[index % shards][Math.floor(index / shards)]);
}

const load =
  (more, each = 8) =>
  (shards) => {
    const users = usersOf(Math.max(1, shards), each);
    return { work: 'load', users, pairs: users.length, fan: 1, qos: 0, warmup: 2, seconds, ...more };
  };
const single = load({ window: 1 });
/** One at a time at a pace, so that both have the same to do: in a closed loop what answers sooner is asked more often. */
const pacedSingle = load({ window: 1, everyMs: 2 });
const paced = load({ window: 5, everyMs: 10 });
const stored = (each) => load({ qos: 1, clean: false, window: 20 }, each);
const connections = () => ({ work: 'connections', users: common.users, count: 900 });
/**
 * As many for each shard, as often, and once it has run as warm: what comes to a shard more often costs less each, since
 * more of it is done in one turn, and since what a process does by itself is shared by more.
 */
const connectionsEach = (shards) => ({
  ...{ work: 'connections', users: usersOf(shards, 10) },
  ...{ count: 250 * shards, warmup: 200 * shards, perSecond: 60 * shards },
});
const postgres = await Postgres.start(scope, { durable: true });
const { url } = postgres;

const rows = [
  ['QoS 0, one message at a time: direct', single, {}],
  ['QoS 0, one message at a time: behind HAProxy', single, { shards: 1 }],
  ['QoS 0, single messages at a pace: direct', pacedSingle, {}],
  ['QoS 0, single messages at a pace: behind HAProxy', pacedSingle, { shards: 1 }],
  ['QoS 0, 200 at a time: direct', load({}), {}],
  ['QoS 0, 200 at a time: behind HAProxy', load({}), { shards: 1 }],
  ['connection: direct', connections, {}],
  ['connection: behind HAProxy', connections, { shards: 1 }],
  ['QoS 1, persistent, window 20, 10 users: LevelDB', stored(10), {}],
  ['QoS 1, persistent, window 20, 10 users: PostgreSQL', stored(10), { url }],
  ['QoS 1, persistent, window 20, 50 users: LevelDB', stored(50), {}],
  ['QoS 1, persistent, window 20, 50 users: PostgreSQL', stored(50), { url }],
  ['8 users a shard, 500 messages/s each: 1 shard', paced, { shards: 1 }],
  ['8 users a shard, 500 messages/s each: 2 shards', paced, { shards: 2 }],
  ['8 users a shard, 500 messages/s each: 4 shards', paced, { shards: 4 }],
  ['250 connections a shard, 60/s: 1 shard', connectionsEach, { shards: 1 }],
  ['250 connections a shard, 60/s: 2 shards', connectionsEach, { shards: 2 }],
  ['250 connections a shard, 60/s: 4 shards', connectionsEach, { shards: 4 }],
  ['start with 10 000 sessions, 100 000 messages: LevelDB', starts, {}],
  ['start with 10 000 sessions, 100 000 messages: PostgreSQL', starts, { url }],
].filter(([name]) => name.includes(options.only));

const results = new Map(rows.map(([name]) => [name, []]));
try {
  for (let round = 1; round <= rounds; round++) {
    for (const [name, job, setting] of round % 2 === 1 ? rows : rows.toReversed()) {
      process.stderr.write(`round ${round}/${rounds}: ${name}\n`);
      if (setting.url) await postgres.ask('drop table if exists iotlab_rows, iotlab_slots');
      if (job === starts) {
        results.get(name).push(await starts(setting));
        continue;
      }
      const broker = await start(setting);
      try {
        results.get(name).push(await worker({ ...job(setting.shards ?? 0), target: broker.target }));
      } finally {
        await broker.stop();
      }
    }
  }
} finally {
  for (const end of endings.reverse()) await end();
}

const title = [
  '',
  'broker, µs',
  'HAProxy or database, µs',
  'a second',
  'broker, KB',
  'HAProxy, KB',
  'ready, ms',
  'CPU until then, ms',
];
const lines = rows.map(([name]) => {
  const of = (key, digits) => {
    const values = results.get(name).map((it) => it[key]);
    return values.some((it) => !(it > 0)) ? '' : median(values).toFixed(digits);
  };
  const kilobytes = (key) => (name.startsWith('connection') ? of(key, 1) : '');
  return [
    ...[name, of('microseconds', 2), of('besideMicroseconds', 2), of('rate', 0)],
    ...[kilobytes('kilobytes'), kilobytes('besideKilobytes'), of('readyMs', 0), of('readyCpuMs', 0)],
  ];
});
console.log([title, title.map(() => '---'), ...lines].map((row) => `| ${row.join(' | ')} |`).join('\n'));
process.exit(0);
