import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/clock.js';
import { proxyFiles } from '../../src/cluster/haproxy-config.js';
import { guardShard } from '../../src/cluster/shard-guard.js';
import { writeProxyFiles } from '../../src/cluster/write-files.js';
import { defaultConfig } from '../../src/config/defaults.js';
import { createCredentialGuard } from '../../src/credentials/guard.js';
import { makeAuthority } from '../../src/listener/certificates.js';
import { shardOf } from '../../src/shard.js';
import { captureLog } from '../support/captured-log.js';
import { eventually } from '../support/deadline.js';
import { startHaproxy } from '../support/haproxy.js';
import { startClient } from '../support/mosquitto-clients.js';
import { freePort } from '../support/ports.js';
import { passwordOf, RawClient } from '../support/raw-client.js';
import { scriptedBackend } from '../support/scripted-backend.js';
import { tempFolder } from '../support/temp-folder.js';
import { startTestBroker } from '../support/test-broker.js';

const users = Array.from({ length: 12 }, (_, number) => `user${number}`);

/** Two brokers and the real HAProxy that is configured for them. */
async function twoShards(t: TestContext, mails: ReadonlyMap<string, string> = new Map()) {
  const folder = await tempFolder(t);
  const authority = makeAuthority();
  const { cert, key } = authority.issue();
  const files = { cert: join(folder, 'server.pem'), key: join(folder, 'server.key'), ca: join(folder, 'ca.pem') };
  await Promise.all([writeFile(files.cert, cert), writeFile(files.key, key), writeFile(files.ca, authority.cert)]);
  const port = await freePort();
  const at = proxyFiles(folder);
  const configOf = (shard: number) => ({
    listener: { ...files, host: '127.0.0.1', port, proxy: { exclusive: true, socket: at.shard(shard) } },
    cluster: { shards: 2, shard, proxy: { folder, threads: 1 } },
  });
  const brokers = [];
  for (const shard of [0, 1]) {
    const backend = scriptedBackend(users.map((login) => [login, passwordOf(login)]));
    const verify = backend.verify.bind(backend);
    backend.acceptsLogin = (name) => mails.has(name);
    backend.verify = (name, password, signal) => verify(mails.get(name) ?? name, password, signal);
    const broker = await startTestBroker({ config: configOf(shard), seams: { backend } });
    t.after(() => broker.stop());
    brokers.push(broker);
  }
  await writeProxyFiles(defaultConfig(configOf(0)), at, cert + key, 2);
  await startHaproxy(t, folder, await readFile(at.config, 'utf8'), port);
  return { brokers, files, front: { host: '127.0.0.1', port, ca: authority.cert } };
}

test('every user is served by the broker of the shard, and by no other', async (t) => {
  const { brokers, files, front } = await twoShards(t);
  const home = await tempFolder(t);
  const clients = await Promise.all(users.map((as) => RawClient.connect(front, { as })));
  for (const [index, client] of clients.entries()) {
    const login = users[index]!;
    await client.subscribe([`iotlab/${login}/#`, 1]);
    await client.publish(`iotlab/${login}/t`, login, { qos: 1 });
    assert.equal((await client.receive()).payload, login);
  }
  for (const [shard, broker] of brokers.entries()) {
    const there = [...broker.parts().connections].map(({ client }) => client?.login).sort();
    assert.deepEqual(there, users.filter((login) => shardOf(login, 2) === shard).sort());
  }
  await Promise.all(clients.map((client) => client[Symbol.asyncDispose]()));
  const args = ['--cafile', files.ca, '-h', 'localhost', '-p', String(front.port), '-u', 'USER1', '-P', 'wrong'];
  const refused = await startClient('mosquitto_pub', [...args, '-t', 'iotlab/user1/t', '-m', 'x'], { home }).finished();
  assert.match(refused.stderr, /not authorised/);
});

test('a login of another shard is refused as unavailable, and the log says whose it is', async (t) => {
  const config = { cluster: { shards: 4, shard: 1 } };
  const backend = scriptedBackend(users.map((login) => [login, passwordOf(login)]));
  const broker = await startTestBroker({ config, seams: { backend } });
  t.after(() => broker.stop());
  for (const as of users) {
    const belongsTo = shardOf(as, 4);
    const { client, code } = await RawClient.attempt(broker, { as });
    assert.equal(code, belongsTo === 1 ? 0 : 3, as);
    if (belongsTo !== 1) {
      await client.closed();
      const lines = broker.logs.lines().filter(({ msg, login }) => msg === 'connection refused' && login === as);
      assert.deepEqual(
        lines.map(({ reason, code, detail }) => [reason, code, detail]),
        [['other-shard', 'E_OTHER_SHARD', `${as} belongs to shard ${belongsTo} of 4, and this is shard 1`]],
      );
    }
    await client[Symbol.asyncDispose]();
  }
});

test('what else a guard does it does for a shard too, also behind others that stand before it', async (t) => {
  const backend = scriptedBackend([['alice', 'secret']]);
  const { credentials, cluster } = defaultConfig({ cluster: { shards: 2 } });
  const { log } = captureLog();
  const guard = createCredentialGuard({ backend, config: credentials, log, clock: systemClock });
  t.after(() => guard.close());
  const ofShard = { ...guardShard(guard, cluster, log) };
  assert.deepEqual(Object.keys(ofShard).sort(), Object.keys(guard).sort());
  assert.equal(ofShard.revalidate, guard.revalidate);
});

test('who logs in with a mail address gets to the right broker at the second attempt, and from then on', async (t) => {
  const login = users[0]!;
  const mail = ['a', 'b', 'c', 'd']
    .map((it) => `${it}@example.org`)
    .find((it) => shardOf(it, 2) !== shardOf(login, 2))!;
  const { brokers, front } = await twoShards(t, new Map([[mail, login]]));
  const attempt = async () => {
    const { client, code } = await RawClient.attempt(front, { login: mail, password: passwordOf(login) });
    await client[Symbol.asyncDispose]();
    return code;
  };
  assert.equal(await attempt(), 3);
  await brokers[shardOf(mail, 2)]!.logs.waitFor(/HAProxy knows now/);
  await eventually(5_000, 'the second attempt', async () => (await attempt()) === 0);
  assert.equal(await attempt(), 0);
});
