import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli } from '../../src/cli/command-line.js';
import { table } from '../../src/cli/table.js';
import { captureIo } from '../support/command-io.js';
import { eventually } from '../support/deadline.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

const broker = useTestBroker();

async function run(...args: string[]) {
  const config = join(broker.folder, 'broker.yaml');
  await writeFile(config, JSON.stringify({ admin: { socket: 'admin.sock' } }));
  const io = captureIo();
  const code = await runCli([...args, '--config', config], io);
  return { code, out: io.out(), err: io.err() };
}

test('clients: who is connected, and whose connection has ended', async () => {
  const clientId = `${freshId()}\nroot  \u001b[2J`;
  await using alice = await RawClient.connect(broker, { as: 'alice', clientId });
  await alice.subscribe(['iotlab/alice/#', 0]);
  const { code, out } = await run('clients', 'alice');
  assert.equal(code, 0);
  const lines = out.trimEnd().split('\n');
  assert.equal(lines.length, 2, 'a line feed in a client id begins no line');
  assert.match(lines[0]!, /^ *N {2}LOGIN {2}CLIENT .* SUBS {2}QUEUED/);
  assert.match(lines[1]!, /^ *\d+ {2}alice {2}\S+\\nroot {2}\\u001b\[2J {2}127\.0\.0\.1 {2}3\.1\.1/);
  const json = JSON.parse((await run('clients', '--json', '--sort', 'received')).out);
  assert.equal(json[0].client, clientId);
  const { out: filters } = await run('clients', 'alice', '--subscriptions');
  assert.match(filters, /\nN +CLIENT +QOS +FILTER\n *\d+ .* {2}0 {2}iotlab\/alice\/#\n$/);
  const [row] = JSON.parse((await run('clients', 'alice', '--subscriptions', '--json')).out);
  assert.deepEqual(row.subscriptions, [{ filter: 'iotlab/alice/#', qos: 0 }]);
  // It began before the one that ends before it.
  const later = await RawClient.connect(broker, { as: 'alice', clientId: freshId('later') });
  await later.disconnect();
  const isNoted = (whose: string) => async () =>
    (await run('clients', 'alice', '--ended', '--json')).out.includes(whose);
  await eventually(5_000, 'the end to be noted', isNoted(later.clientId));
  await alice.disconnect();
  await eventually(5_000, 'the end to be noted', isNoted('u001b'));
  const ends = JSON.parse((await run('clients', 'alice', '--ended', '--json', '--limit', '2')).out);
  assert.deepEqual(
    ends.map(({ client }: { client: string }) => client),
    [clientId, later.clientId],
  );
  const ended = await run('clients', 'alice', '--ended', '--limit', '1');
  assert.match(ended.out, /127\.0\.0\.1 {2}3\.1\.1 .* disconnect\n$/);
  assert.equal((await run('clients', '--sort', 'size')).code, 2);
  assert.equal((await run('clients', '--limit', '0')).code, 2);
});

test('JSON has no markup in it, whatever clients call themselves; a table shows the name as it is', async () => {
  const clientId = `${freshId()}<script>&`;
  await using bob = await RawClient.connect(broker, { as: 'bob', clientId });
  await bob.subscribe(['iotlab/alice/<b>', 0]);
  for (const args of [
    ['clients', 'bob', '--json'],
    ['denials', 'bob', '--json'],
    ['top', '--json'],
  ]) {
    const { code, out } = await run(...args);
    assert.equal(code, 0);
    assert.doesNotMatch(out, /[<>&]/, args.join(' '));
  }
  assert.equal(JSON.parse((await run('clients', 'bob', '--json')).out)[0].client, clientId);
  assert.ok((await run('clients', 'bob')).out.includes(clientId), 'kick --client wants it as it is');
});

test('clients: more than a page is read page by page, and what is left out is said', async () => {
  const clients = await Promise.all([1, 2, 3].map(() => RawClient.connect(broker, { as: 'bob' })));
  const { out, err } = await run('clients', 'bob', '--limit', '2');
  assert.deepEqual([out.split('\n').length, err], [4, '2 of 3; --limit shows more\n']);
  await Promise.all(clients.map((client) => client.disconnect()));
});

test('kick: a login, one of its clients, or a connection', async () => {
  const connect = () => RawClient.connect(broker, { as: 'alice' });
  const [one, two, three] = [await connect(), await connect(), await connect()];
  const [{ n }] = JSON.parse((await run('clients', 'alice', '--json')).out);
  assert.deepEqual(await run('kick', '--connection', String(n)), { code: 0, out: '1 connection ended\n', err: '' });
  await three.closed();
  assert.equal((await run('kick', 'alice', '--client', two.clientId)).out, '1 connection ended\n');
  await two.closed();
  assert.equal((await run('kick', 'alice')).out, '1 connection ended\n');
  await one.closed();
  assert.deepEqual(JSON.parse((await run('kick', 'alice', '--json')).out), { ended: 0 });
  assert.deepEqual(await run('kick', 'alice'), { code: 1, out: '0 connections ended\n', err: '' });
  const gone = await run('kick', '--connection', String(n));
  assert.deepEqual([gone.code, /no open connection/.test(gone.err)], [2, true]);
  assert.equal((await run('kick')).code, 2);
  assert.equal((await run('kick', 'alice', '--connection', '1')).code, 2);
});

test('denials: what was denied, and what helps', async () => {
  await using alice = await RawClient.connect(broker, { as: 'alice' });
  await alice.publish('iotlab/<alice>/x', '', { qos: 1 });
  await alice.publish('iotlab/<alice>/x', '', { qos: 1 });
  const { out } = await run('denials', 'alice');
  assert.match(out, /ago {3,}2 {2}alice {2}\S+ {2}publish {2}iotlab\/<alice>\/x {2}denied {2}"<alice>" is meant/);
  assert.equal(JSON.parse((await run('denials', '--json', '--limit', '1')).out).length, 1);
});

test('a table is as wide as it must be, and nothing in it begins a line', () => {
  const text = table(
    ['N', 'NAME', 'LAST'],
    [
      [1, 'a\nb', 'x'],
      [100, `${'y'.repeat(70)}`, 'z'.repeat(70)],
    ],
  );
  assert.deepEqual(text.split('\n'), [
    `  N  NAME${' '.repeat(56)}  LAST`,
    `  1  a\\nb${' '.repeat(56)}  x`,
    `100  ${'y'.repeat(59)}…  ${'z'.repeat(70)}`,
    '',
  ]);
});

test('ban: keep a login out for a while, and let it in again', async () => {
  const alice = await RawClient.connect(broker, { as: 'alice' });
  const added = await run('ban', 'add', 'alice', '--for', '2h', '--reason', 'a loop');
  assert.match(added.out, /^alice is kept out until \d{4}-\S+; 1 connection ended\n$/);
  await alice.closed();
  assert.match((await run('ban', 'list')).out, /^WHO +SINCE +STILL +WHY\nalice +\S+ ago +1h 59m +a loop\n$/);
  assert.equal(JSON.parse((await run('ban', 'list', '--json')).out)[0].login, 'alice');
  assert.equal((await run('ban', 'remove', 'alice')).out, 'alice may come in again\n');
  assert.equal((await run('ban', 'remove', 'alice')).code, 2);
  await (await RawClient.connect(broker, { as: 'alice' })).disconnect();
  for (const args of [
    ['add'],
    ['add', 'alice', '--for', 'ever'],
    ['add', 'alice', '--for', '2'],
    ['add', 'alice', '--address', '::1'],
  ]) {
    assert.equal((await run('ban', ...args)).code, 2, args.join(' '));
  }
});

test('top and limits: who uses how much', async () => {
  await using alice = await RawClient.connect(broker, { as: 'alice' });
  await alice.publish('iotlab/alice/x', 'y', { qos: 1, retain: true });
  const top = await run('top', '--sort', 'connections');
  assert.match(top.out, /^LOGIN +CLIENTS +MSG IN\/S .*\nalice +1 /);
  const [row] = JSON.parse((await run('top', '--sort', 'connections', '--json')).out);
  assert.deepEqual([row.login, row.connections], ['alice', 1]);
  assert.ok(Array.isArray(JSON.parse((await run('top', '--slow', '--json')).out).oldest));
  assert.match((await run('top', '--slow')).out, /^Longest without an acknowledgement:\nLOGIN +CLIENT/);
  const limits = await run('limits', 'show', 'alice');
  assert.match(limits.out, /^connectionsPerUser +1 +1000 +0 %$/m);
  assert.match(limits.out, /^memoryPerUser +\d+\.\d KiB +64\.0 MiB +0 %$/m);
  assert.equal(JSON.parse((await run('limits', 'show', 'alice', '--json')).out).use.length, 8);
  // Whoever has nothing here has the limits that he would have.
  assert.match((await run('limits', 'show', 'nobody')).out, /^connectionsPerUser +1000$/m);
});

test('trace: what a login does, one line an event', async () => {
  const config = join(broker.folder, 'broker.yaml');
  const io = captureIo();
  const running = runCli(['trace', 'alice', '--for', '2s', '--payload', '--config', config], io);
  await eventually(5_000, 'the trace has begun', () => io.err().includes('tracing alice until'));
  const clientId = `${freshId()}\nx`;
  await using alice = await RawClient.connect(broker, { as: 'alice', clientId });
  await alice.subscribe(['iotlab/alice/#', 0]);
  await alice.publish('iotlab/alice/x', 'one\ntwo\u001b[2J', { qos: 1 });
  assert.equal(await running, 0);
  const lines = io.out().trimEnd().split('\n');
  const times = /^\d\d:\d\d:\d\d\.\d{3} {2}\S+\\nx {2}/;
  assert.ok(lines.length >= 4 && lines.every((line) => times.test(line)), io.out());
  assert.ok(lines.some((line) => / {2}> {2}packet {2}packet SUBSCRIBE {2}bytes \d+ {2}filters iotlab\/\S+/.test(line)));
  assert.ok(lines.some((line) => / {2}> {2}published {2}iotlab\/alice\/x .* \| one\\ntwo\\u001b\[2J$/.test(line)));
  assert.ok(lines.some((line) => / {2}< {2}sent {2}iotlab\/alice\/x /.test(line)));
  assert.equal((await run('trace', 'alice', '--for', 'ever')).code, 2);
  const nobody = await run('trace', 'nosuchuser', '--for', '1s');
  assert.match(nobody.err, /^note: there is no nosuchuser, as the file backend says/);
});
