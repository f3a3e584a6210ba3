// The program as it is started in earnest reads its file again, for the command and for SIGHUP.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runCli } from '../../src/cli/command-line.js';
import { BrokerProcess } from '../support/broker-process.js';
import { captureIo } from '../support/command-io.js';
import { eventually } from '../support/deadline.js';
import { passwordOf, RawClient } from '../support/raw-client.js';
import { tempFolder } from '../support/temp-folder.js';

async function running(t: TestContext) {
  const folder = await tempFolder(t);
  const broker = await BrokerProcess.prepare(folder, { alice: passwordOf('alice') }, {});
  const file = join(folder, 'broker.yaml');
  const original = JSON.parse(await readFile(file, 'utf8'));
  const { port, ca } = await broker.start();
  t.after(() => broker.kill());
  const client = await RawClient.connect({ host: '127.0.0.1', port, ca });
  t.after(() => client[Symbol.asyncDispose]());
  const reload = async (...args: string[]) => {
    const io = captureIo();
    const code = await runCli(['config', 'reload', ...args, '--config', file], io);
    return { code, out: io.out(), err: io.err() };
  };
  const write = (changes: object) => writeFile(file, JSON.stringify({ ...original, ...changes }));
  return { broker, client, file, reload, write };
}

test('config reload: what would change, what has, what needs a restart, and what is wrong', async (t) => {
  const { broker, client, file, reload, write } = await running(t);
  assert.deepEqual(await reload(), { code: 0, out: 'nothing is different from what is in force\n', err: '' });
  const rules = [
    { access: 'readwrite', topic: 'iotlab/%u/#' },
    { access: 'read', topic: 'news/#' },
  ];
  await write({ acl: rules, storage: { path: 'elsewhere' } });
  assert.equal((await reload('--dry-run')).out, 'would be in force: acl\nneeds a restart: storage.path\n');
  assert.deepEqual(await client.subscribe(['news/#', 0]), [128]);
  assert.equal((await reload()).out, 'in force now: acl\nneeds a restart: storage.path\n');
  assert.deepEqual(await client.subscribe(['news/#', 0]), [0]);

  await write({ acl: [rules[0]], limits: { conections: 5 } });
  for (const args of [[], ['--dry-run']]) {
    const { code, out, err } = await reload(...args);
    assert.deepEqual([code, out], [2, '']);
    assert.equal(err, `iotlab-broker: ${file}:1: limits.conections: unknown key; did you mean limits.connections?\n`);
  }
  assert.deepEqual(await client.subscribe(['news/#', 0]), [0]);
  await write({ acl: [rules[0]] });
  const before = JSON.parse((await reload('--dry-run', '--json')).out);
  assert.deepEqual(before, {
    ...{ dryRun: true, applied: ['acl'], needsRestart: [] },
    ...{ users: 1, subscriptionsEnded: 1, messagesDropped: 0 },
  });
  assert.match((await reload('--dry-run')).out, /^1 subscription would end: the rules would deny them$/m);
  assert.deepEqual(await client.subscribe(['news/#', 0]), [0]);
  const json = JSON.parse((await reload('--json')).out);
  assert.deepEqual(json, {
    ...{ dryRun: false, applied: ['acl'], needsRestart: [] },
    ...{ users: 1, subscriptionsEnded: 1, messagesDropped: 0 },
  });
  await client.expectNothing();
  await broker.kill('SIGTERM');
  const { code, err } = await reload();
  assert.equal(code, 1);
  assert.match(err, /^iotlab-broker: no broker is running here: nobody listens on \S+admin\.sock/);
});

test('SIGHUP reads the configuration too, and a broken one changes nothing', async (t) => {
  const { broker, client, write } = await running(t);
  await write({ acl: [{ access: 'read', topic: 'news/#' }] });
  process.kill(broker.pid, 'SIGHUP');
  const granted = async (filter: string) => (await client.subscribe([filter, 0]))[0] === 0;
  await eventually(10_000, 'the rules to be in force', () => granted('news/#'));
  assert.equal(await granted('iotlab/alice/#'), false);
  await write({ acl: 'none' });
  process.kill(broker.pid, 'SIGHUP');
  await eventually(10_000, 'the complaint', () => broker.complaints.join().includes('nothing of it is in force'));
  assert.match(broker.complaints.join(), /acl: must be a list/);
  assert.equal(await granted('news/x'), true);
});
