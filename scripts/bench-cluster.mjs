// `npm run bench:cluster`: what a message and a connection cost each process of docs/cluster.md: a broker alone, brokers
// behind HAProxy, and with their store in PostgreSQL.
import { execFileSync, fork, spawn } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
const { freePort } = await import(join(root, 'build', 'test', 'support', 'ports.js'));
const { Postgres } = await import(join(root, 'build', 'test', 'support', 'postgres.js'));
const { shardOf } = await import(join(root, 'dist', 'shard.js'));

const folder = mkdtempSync(join(tmpdir(), 'iotlab-bench-'));
const endings = [() => rmSync(folder, { recursive: true, force: true })];
const scope = { after: (end) => endings.push(end) };
const common = await prepare(folder);
const [rounds, seconds] = [Number(options.rounds), Number(options.seconds)];

const databaseProcesses = `select pid from pg_stat_activity where backend_type in ('walwriter', 'checkpointer',
  'background writer') or pid in (select pid from pg_locks where locktype = 'advisory')`;

/** Starts a broker, or `shards` of them behind HAProxy, and resolves with what is measured of it. */
async function start({ shards = 0, url = '' }) {
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
  const log = join(its, 'log');
  const output = openSync(log, 'w');
  const args = shards === 0 ? [] : ['--shards', `${shards}`];
  const main = join(root, 'dist', 'main.js');
  const child = spawn(process.execPath, [main, 'serve', ...args, '--config', file], {
    stdio: ['ignore', output, output],
  });
  const gone = new Promise((resolve) => child.once('exit', resolve));
  const ready = shards === 0 ? 'broker started' : 'all shards serve';
  while (!readFileSync(log, 'utf8').includes(ready)) {
    if (child.exitCode !== null) throw new Error(readFileSync(log, 'utf8'));
    await sleep(50);
  }
  let [pid, beside] = [[child.pid], []];
  if (shards > 0) {
    const table = execFileSync(process.execPath, [main, 'cluster', 'status', '--config', file], { encoding: 'utf8' });
    pid = [...table.matchAll(/^ +\d+ +(\d+) +serves/gm)].map(([, it]) => Number(it));
    beside = [Number(/HAProxy: pid (\d+)/.exec(table)[1])];
  }
  // Of the database what works for the broker, and what writes to the disk.
  if (url !== '') beside = (await postgres.ask(databaseProcesses)).map((row) => row.pid);
  return {
    target: { ca: common.ca, port, pid, beside },
    async stop() {
      child.kill();
      await gone;
    },
  };
}

function worker(job) {
  const child = fork(join(root, 'bench', 'worker.mjs'), [JSON.stringify(job)]);
  return new Promise((resolve, reject) => {
    child.once('message', ({ error, result }) => (error ? reject(new Error(error)) : resolve(result)));
    child.once('error', reject);
  });
}

/** As many for each shard. */
const usersOf = (shards, each) =>
  Array.from({ length: shards }, (_, shard) =>
    common.users.filter(({ login }) => shardOf(login, shards) === shard).slice(0, each),
  ).flat();

const load =
  (more, each = 8) =>
  (shards) => {
    const users = usersOf(Math.max(1, shards), each);
    return { work: 'load', users, pairs: users.length, fan: 1, qos: 0, warmup: 2, seconds, ...more };
  };
const single = load({ window: 1 });
const paced = load({ window: 5, everyMs: 10 });
const stored = (each) => load({ qos: 1, clean: false, window: 20 }, each);
const connections = () => ({ work: 'connections', users: common.users, count: 900 });
/** As many for each shard, once it has run warm. */
const connectionsEach = (shards) => ({
  ...{ work: 'connections', users: usersOf(shards, 10) },
  ...{ count: 250 * shards, warmup: 200 * shards },
});
const postgres = await Postgres.start(scope, { durable: true });
const { url } = postgres;

const rows = [
  ['QoS 0, one message at a time: direct', single, {}],
  ['QoS 0, one message at a time: behind HAProxy', single, { shards: 1 }],
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
  ['250 connections a shard: 1 shard', connectionsEach, { shards: 1 }],
  ['250 connections a shard: 2 shards', connectionsEach, { shards: 2 }],
  ['250 connections a shard: 4 shards', connectionsEach, { shards: 4 }],
].filter(([name]) => name.includes(options.only));

const results = new Map(rows.map(([name]) => [name, []]));
try {
  for (let round = 1; round <= rounds; round++) {
    for (const [name, job, setting] of round % 2 === 1 ? rows : rows.toReversed()) {
      process.stderr.write(`round ${round}/${rounds}: ${name}\n`);
      if (setting.url) await postgres.ask('drop table if exists iotlab_rows, iotlab_slots');
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

const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
const title = ['', 'broker, µs', 'HAProxy or database, µs', 'a second', 'broker, KB', 'HAProxy, KB'];
const lines = rows.map(([name]) => {
  const of = (key, digits) => {
    const values = results.get(name).map((it) => it[key]);
    return values.some((it) => !(it > 0)) ? '' : median(values).toFixed(digits);
  };
  const kilobytes = (key) => (name.startsWith('connection') ? of(key, 1) : '');
  return [
    ...[name, of('microseconds', 2), of('besideMicroseconds', 2), of('rate', 0)],
    ...[kilobytes('kilobytes'), kilobytes('besideKilobytes')],
  ];
});
console.log([title, title.map(() => '---'), ...lines].map((row) => `| ${row.join(' | ')} |`).join('\n'));
process.exit(0);
