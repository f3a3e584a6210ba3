import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runCli } from '../../src/cli/command-line.js';
import { makeAuthority } from '../../src/listener/certificates.js';
import { shardOf } from '../../src/shard.js';
import { captureIo } from '../support/command-io.js';
import { eventually } from '../support/deadline.js';
import { MetricsText } from '../support/metrics.js';
import { freePort } from '../support/ports.js';
import { RawClient } from '../support/raw-client.js';
import { ShardedProcess } from '../support/sharded-process.js';
import { ownScope } from '../support/sockets.js';
import { tempFolder } from '../support/temp-folder.js';

const users = Array.from({ length: 6 }, (_, number) => `user${number}`);
const SHARDS = 2;
const of = (shard: number) => users.filter((login) => shardOf(login, SHARDS) === shard);

/** One machine for all tests: starting it takes longer than most of them. Each finds it serving, and leaves it so. */
let it: ShardedProcess;
const scope = ownScope();
before(async () => {
  it = await ShardedProcess.prepare(scope, await tempFolder(scope), users);
  await start();
});
after(() => scope.close());
const start = () => it.start('--shards', `${SHARDS}`);

/** The process of a shard, as it was started last. */
function processOf(shard: number): number {
  return Number(it.lines.findLast(({ msg, shard: whose }) => msg === 'shard serves' && whose === shard)?.pid);
}

/** In this process: starting one for each of two dozen commands would take longer than all that they do. */
async function outcome(config: string, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const io = captureIo();
  const code = await runCli([...args, '--config', config], io);
  return { code, out: io.out(), err: io.err() };
}

async function cli(...args: string[]): Promise<string> {
  const { code, out, err } = await outcome(it.config, ...args);
  assert.equal(code, 0, err);
  return out;
}

const get = async (path: string) => (await fetch(`http://127.0.0.1:${it.adminPort}${path}`)).text();
const connect = (as: string, more = {}) => RawClient.connect(it.front, { as, ...more });

test('serve --shards runs brokers and HAProxy; operators see all of them as one', async (t) => {
  const clients = await Promise.all(users.map((as) => connect(as, { clientId: `c-${as}` })));
  t.after(() => Promise.all(clients.map((client) => client[Symbol.asyncDispose]())));
  for (const [index, client] of clients.entries()) {
    const topic = `iotlab/${users[index]}/t`;
    await client.subscribe([topic, 1]);
    await client.publish(topic, 'hello', { qos: 1 });
    assert.equal((await client.receive()).payload, 'hello');
  }
  const health = JSON.parse(await get('/health'));
  assert.deepEqual([health.status, health.connections, health.store], ['ok', users.length, 'ok']);
  const metrics = await get('/metrics');
  const told = new MetricsText(metrics);
  for (const shard of [0, 1]) {
    assert.equal(told.sum('connections', { shard: `${shard}` }), of(shard).length);
    assert.equal(told.sum('shard_up', { shard: `${shard}` }), 1);
  }
  assert.equal(metrics.match(/^# TYPE iotlab_broker_connections gauge$/gm)?.length, 1);

  const status = JSON.parse(await cli('status', '--json'));
  assert.deepEqual([status.connections, status.usersOnline, status.status], [users.length, users.length, 'ok']);
  const rows = JSON.parse(await cli('clients', '--sort', 'login', '--json')) as { login: string; n: number }[];
  assert.deepEqual(
    rows.map(({ login }) => login),
    [...users].sort(),
  );
  assert.equal(new Set(rows.map(({ n }) => n)).size, users.length);
  for (const { n, login } of rows) assert.equal(n % SHARDS, shardOf(login, SHARDS));
  // In pages of two, and by the one thing that all of them have differently.
  const paged = JSON.parse(await cli('clients', '--limit', '4', '--json')) as { n: number }[];
  assert.deepEqual(
    paged.map(({ n }) => n),
    rows
      .map(({ n }) => n)
      .sort((a, b) => b - a)
      .slice(0, 4),
  );
  await cli('kick', '--connection', `${rows[0]!.n}`);
  await clients[0]!.closed();
  await cli('kick', users[1]!);
  await clients[1]!.closed();
  // It is written after the answer.
  const audited = () => readFile(join(it.folder, 'audit.jsonl'), 'utf8').catch(() => '');
  await eventually(10_000, 'the audit log', async () => /"what":"DELETE \/v1\/connections\/\d+"/.test(await audited()));

  const logged = it.lines.filter(({ msg }) => msg === 'connected');
  for (const { login, shard } of logged) assert.equal(shard, shardOf(String(login), SHARDS));

  // One shard after the other: nobody of the other one is disconnected meanwhile.
  const shards = await cli('cluster', 'status');
  assert.equal(shards.match(/ serves /g)?.length, SHARDS);
  const restarts = it.lines.length;
  assert.equal(await cli('cluster', 'restart'), '2 shards restarted\n');
  // Lines come a moment after the answer.
  const restarted = () =>
    it.lines.slice(restarts).filter(({ msg }) => /^(the shard is restarted|shard serves)$/.test(`${msg}`));
  await eventually(10_000, 'the lines of the restart', () => restarted().length >= 2 * SHARDS);
  assert.deepEqual(
    restarted().map(({ shard }) => shard),
    [0, 0, 1, 1],
  );
});

test('a shard that is killed is back within a second or so with what it had; the others do not notice', async (t) => {
  const [[hit = '', other = '']] = [[of(0)[0], of(1)[0]]];
  const kept = { clean: false, clientId: 'kept over a crash' };
  const away = await connect(hit, kept);
  await away.subscribe([`iotlab/${hit}/crash`, 1]);
  await away.disconnect();
  await using publisher = await connect(hit);
  await publisher.publish(`iotlab/${hit}/crash`, 'acknowledged', { qos: 1 });
  await using bystander = await connect(other);
  await bystander.subscribe([`iotlab/${other}/t`, 1]);

  const killedAt = it.lines.length;
  const atMs = performance.now();
  process.kill(processOf(0), 'SIGKILL');
  await it.line(({ msg, shard }) => msg === 'shard serves' && shard === 0, 20_000, killedAt);
  const back = await RawClient.attempt(it.front, { as: hit, ...kept });
  t.diagnostic(`back after ${Math.round(performance.now() - atMs)} ms`);
  assert.deepEqual([back.code, back.sessionPresent], [0, true]);
  assert.equal((await back.client.receive()).payload, 'acknowledged');
  await back.client[Symbol.asyncDispose]();
  await bystander.publish(`iotlab/${other}/t`, 'undisturbed', { qos: 1 });
  assert.equal((await bystander.receive()).payload, 'undisturbed');
  const said = it.lines.slice(killedAt).find(({ msg }) => /shard 0 ended by itself/.test(String(msg)));
  assert.equal(said?.signal, 'SIGKILL');

  // When the supervisor is killed, its brokers end in order, and so does HAProxy: the next one finds everything free.
  const from = it.lines.length;
  await it.end('SIGKILL');
  for (const shard of [0, 1]) {
    assert.ok(it.lines.slice(from).some(({ msg, shard: whose }) => msg === 'broker stopped' && whose === shard));
  }
  await start();
});

test("a broker alone and shards refuse each other's stores, and storage split moves what is kept between them", async () => {
  for (const as of users) {
    const client = await connect(as, { clean: false, clientId: 'kept' });
    await client.subscribe([`iotlab/${as}/#`, 1]);
    await client.disconnect();
    await using other = await connect(as);
    await other.publish(`iotlab/${as}/t`, as, { qos: 1, retain: true });
  }
  await cli('limits', 'set', '@lab', 'sessionsPerUser=7', '--reason', 'the class');
  assert.equal(await it.end('SIGTERM'), 0);
  await assert.rejects(
    it.start('--shards', '3'),
    /has the store of 2 shards.*storage split --shards 3 moves everything/,
  );
  await assert.rejects(it.start(), /has the store of 2 shards.*storage split --shards 1 moves everything/);
  const usage = async () => JSON.parse(await cli('storage', 'usage', '--json')) as { user: string }[];
  const before = await usage();
  assert.deepEqual(
    before.map(({ user }) => user),
    [...users].sort(),
  );
  for (const shards of ['3', '1', '2']) {
    assert.match(await cli('storage', 'split', '--shards', shards), /what was there before is in before-split-/);
    assert.deepEqual(await usage(), before);
    // What is decided for a group is in every store: its members are everywhere.
    const exported = (await cli('storage', 'export', '-')).split('\n');
    assert.equal(exported.filter((line) => /"kind":"user","login":"@lab"/.test(line)).length, Number(shards));
  }
  assert.match(await cli('storage', 'split', '--shards', '2'), /already/);
  await start();
  assert.match(await cli('limits', 'show', '@lab'), /sessionsPerUser=7 \(the class\)$/m);
  for (const as of users) {
    const { client, sessionPresent } = await RawClient.attempt(it.front, { as, clean: false, clientId: 'kept' });
    assert.equal(sessionPresent, true);
    assert.equal((await client.receive()).payload, as);
    await client[Symbol.asyncDispose]();
  }
});

test('while a shard is frozen, operators soon hear that, and everything about the others', async () => {
  const pid = processOf(0);
  const frozenAt = it.lines.length;
  process.kill(pid, 'SIGSTOP');
  try {
    const health = await fetch(`http://127.0.0.1:${it.adminPort}/health`, { signal: AbortSignal.timeout(8_000) });
    assert.deepEqual([health.status, JSON.parse(await health.text()).store], [503, 'E_SHARD_DOWN']);
    const told = new MetricsText(await get('/metrics'));
    assert.deepEqual([told.sum('shard_up', { shard: '0' }), told.sum('shard_up', { shard: '1' })], [0, 1]);
    assert.equal(told.sum('connections', { shard: '1' }), 0);
    const shards = await outcome(it.config, 'cluster', 'status');
    assert.equal(shards.code, 1);
    assert.match(shards.out, /^ *0 +\d+ +does not answer /m);
    const status = await outcome(it.config, 'status');
    assert.equal(status.code, 1);
    assert.match(status.err, /shard 0 does not answer: what it would say is missing here/);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  await it.line(({ msg, shard }) => msg === 'shard answers again' && shard === 0, 10_000, frozenAt);
});

test('a command whose database is not there yet ends when it is told to', async (t) => {
  const storage = { url: `postgres://iotlab@127.0.0.1:${await freePort()}/iotlab` };
  const waiting = await ShardedProcess.prepare(t, await tempFolder(t), users, { storage });
  const started = waiting.start('--shards', `${SHARDS}`).then(
    () => 'started',
    () => 'ended',
  );
  await waiting.line(({ msg }) => /^the database is not there/.test(String(msg)), 20_000);
  assert.equal(await waiting.end('SIGTERM'), 0);
  assert.equal(await started, 'ended');
  assert.ok(!waiting.lines.some(({ level }) => level === 'error'));
});

test('a restart that fails leaves the others as they are; drained shards that were restarted let clients in again', async () => {
  const good = await readFile(it.config, 'utf8');
  const client = join(it.folder, 'client.yaml');
  await writeFile(client, good);
  await writeFile(it.config, `${good.slice(0, -1)}, "bogus": 1}`);
  const failed = await outcome(client, 'cluster', 'restart');
  assert.deepEqual([failed.code, failed.err], [1, "shard 0: down; the broker's log says why\n"]);
  assert.match((await outcome(client, 'cluster', 'status')).out, /^ *1 +\d+ +serves /m);
  const from = it.lines.length;
  await writeFile(it.config, good);
  await it.line(({ msg, shard }) => msg === 'shard serves' && shard === 0, 20_000, from);

  const ready = async () => JSON.parse(await get('/ready')).ready;
  await cli('drain', '--over', '0');
  assert.equal(await ready(), false);
  await cli('cluster', 'restart');
  assert.equal(await ready(), true);

  await writeFile(it.config, good.replace('"threads":1', '"threads":2'));
  assert.match(await cli('config', 'reload'), /needs a restart: cluster\.proxy\.threads/);
  await writeFile(it.config, good);
});

test('a new certificate is shown from then on, and nobody is disconnected for it', async () => {
  await using stays = await connect(users[2]!);
  const next = makeAuthority();
  const { cert, key } = next.issue();
  await writeFile(join(it.folder, 'server.key'), key);
  await writeFile(join(it.folder, 'server.pem'), cert);
  await it.line(({ msg }) => msg === 'HAProxy shows the new certificate', 20_000);
  await using newcomer = await RawClient.connect({ ...it.front, ca: next.cert }, { as: users[0]! });
  await Promise.all([newcomer.expectNothing(), stays.expectNothing()]);
  assert.equal(await it.end('SIGTERM'), 0);
});
