// `user forget` beside a directory, as an operator of one uses it: the program, its command, a real slapd.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BrokerProcess } from '../support/broker-process.js';
import { Client5 } from '../support/client5.js';
import { eventually } from '../support/deadline.js';
import { slapdFor } from '../support/ldap-under-test.js';
import { p } from '../support/packets5.js';
import { passwordOf, RawClient, type Target } from '../support/raw-client.js';
import { serviceDn, servicePassword } from '../support/slapd.js';
import { tempFolder } from '../support/temp-folder.js';

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const users = new Map(['alice', 'carol'].map((login) => [login, passwordOf(login)]));

async function running(t: TestContext) {
  const slapd = await slapdFor(t, { users });
  const folder = await tempFolder(t);
  const broker = await BrokerProcess.prepare(folder, {}, {});
  const file = join(folder, 'broker.yaml');
  await writeFile(join(folder, 'service-password'), servicePassword, { mode: 0o600 });
  const config = JSON.parse(await readFile(file, 'utf8'));
  const ldap = { urls: [slapd.url], searchBase: slapd.people, serviceDn, servicePasswordFile: 'service-password' };
  config.credentials = { backend: 'ldap', ldap };
  config.acl = [
    { access: 'readwrite', topic: 'iotlab/%u/#' },
    { access: 'readwrite', topic: 'course/#' },
  ];
  await writeFile(file, JSON.stringify(config));
  const { port, ca } = await broker.start();
  t.after(() => broker.kill());
  const cli = async (...args: string[]) => {
    const { stdout } = await promisify(execFile)(process.execPath, [main, ...args, '--config', file]);
    return stdout;
  };
  return { slapd, broker, cli, target: { host: '127.0.0.1', port, ca } };
}

/** A kept session with a message in its queue, retained messages, a Will that waits, and one of a client that is here. */
async function leaveTraces(target: Target, login: string): Promise<RawClient> {
  const kept = await RawClient.connect(target, { as: login, clean: false, clientId: 'kept' });
  await kept.subscribe([`iotlab/${login}/#`, 1]);
  await kept.disconnect();
  const delayed = await Client5.connect(target, {
    ...{ as: login, clientId: 'delayed', properties: [p.sessionExpiry(600)] },
    will: { topic: `course/delayed-${login}`, payload: login, retain: true, properties: [p.willDelay(300)] },
  });
  delayed.raw.cut();
  const live = await RawClient.connect(target, {
    ...{ as: login, clean: false, clientId: 'live' },
    will: { topic: `course/live-${login}`, payload: login, retain: true },
  });
  await live.publish(`iotlab/${login}/a`, 'x', { qos: 1, retain: true });
  await live.publish(`course/sheet-${login}`, 'y', { qos: 1, retain: true });
  return live;
}

/** What somebody who comes finds: is there a session, and which retained messages. */
async function find(target: Target, login: string, count: number) {
  const { client, sessionPresent } = await RawClient.attempt(target, { as: login, clean: false, clientId: 'kept' });
  await client.disconnect();
  const reader = await RawClient.connect(target, { as: login, clientId: 'kept' });
  await reader.subscribe([`iotlab/${login}/#`, 1], ['course/#', 1]);
  const topics: string[] = [];
  for (let i = 0; i < count; i++) topics.push((await reader.receive()).topic);
  await reader.expectNothing();
  await reader.disconnect();
  return { sessionPresent, topics: topics.sort() };
}

test('everything of a login goes, nothing of another one, and the next holder of the login finds nothing', async (t) => {
  const { slapd, broker, cli, target } = await running(t);
  const [alice, carol] = [await leaveTraces(target, 'alice'), await leaveTraces(target, 'carol')];
  t.after(() => carol.cut());
  await eventually(5_000, 'one client of alice', async () => !(await cli('clients', 'alice')).includes('delayed'));
  await cli('limits', 'set', 'alice', 'sessionsPerUser=9');
  // Out of the directory first.
  await slapd.removeUser('alice');
  t.diagnostic(await cli('user', 'forget', 'alice'));
  await alice.closed();
  assert.match(await cli('limits', 'show', 'alice'), /^note: there is no alice, as the ldap backend says/m);
  assert.equal((await RawClient.attempt(target, { as: 'alice' })).code, 5, 'nothing is remembered of the password');

  await slapd.addUser('alice', passwordOf('alice'));
  // A refusal is remembered for a moment.
  await eventually(30_000, 'alice to be let in', async () => {
    const { client, code } = await RawClient.attempt(target, { as: 'alice' });
    client.cut();
    return code === 0;
  });
  assert.deepEqual(await find(target, 'alice', 1), { sessionPresent: false, topics: ['course/sheet-carol'] });
  assert.doesNotMatch(await cli('limits', 'show', 'alice'), /^(note|decided)/m);
  await broker.kill('SIGKILL');
  const again = { ...target, port: (await broker.start()).port };
  // carol's client was here when the broker was killed: her Will is published, and none of alice's.
  assert.deepEqual(await find(again, 'alice', 2), {
    sessionPresent: false,
    topics: ['course/live-carol', 'course/sheet-carol'],
  });
  const back = await RawClient.attempt(again, { as: 'carol', clean: false, clientId: 'kept' });
  assert.equal(back.sessionPresent, true);
  assert.equal((await back.client.receive()).topic, 'iotlab/carol/a');
  back.client.cut();
});
