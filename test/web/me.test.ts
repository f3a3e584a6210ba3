import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askAdmin } from '../support/admin.js';
import { eventually } from '../support/deadline.js';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';
import { WebUser } from '../support/web-user.js';

const broker = useTestBroker({ seams: { web: true } });
const hostile = '<img src=x onerror=alert(1)>';
const resources = ['', '/connections', '/sessions', '/denials', '/retained'];

test('users see their denials with what helps, within a second, and their traffic with receivers', async () => {
  const user = await WebUser.logIn(broker, 'alice');
  const stream = await user.follow('/v1/me/events');
  await stream.says(/here/);
  await using client = await RawClient.connect(broker, { clientId: 'sensor' });
  await client.subscribe(['iotlab/alice/heard', 0]);
  client.send(mqtt.publish('iotlab/carol/x', 'hello'));
  await stream.says(/event: denied\ndata: .*"topic":"iotlab\/carol\/x".*"hint":"[^"]*alice/, 1_000);
  for (const topic of ['heard', 'unheard']) await client.publish(`iotlab/alice/${topic}`, 'hello', { qos: 1 });
  await stream.says(/"topic":"iotlab\/alice\/heard",.*"receivers":1/, 1_500);
  await stream.says(/"topic":"iotlab\/alice\/unheard",.*"receivers":0/, 1_500);
  const { open } = (await user.ask('/v1/me/connections')).body;
  assert.deepEqual(open[0].subscriptions, [{ filter: 'iotlab/alice/heard', qos: 0 }]);
  assert.equal((await user.ask(`/v1/me/connections/${open[0].n}`, { method: 'DELETE' })).status, 200);
  await stream.says(/event: disconnected\ndata: .*"client":"sensor".*"inWords":"you ended it, on your page"/, 1_000);
  stream.close();
});

test('failed log-ins of several networks come newest first', async () => {
  const { history } = broker.parts();
  const addresses = ['192.0.2.1', '198.51.100.1', '192.0.2.2'];
  for (const address of addresses) {
    history.refused(address, 'alice', null, 'wrong-password');
    const now = Date.now();
    await eventually(1_000, 'the next millisecond', () => Date.now() > now);
  }
  const { logins } = (await (await WebUser.logIn(broker, 'alice')).ask('/v1/me/denials')).body;
  assert.deepEqual(
    logins.map(({ address }: { address: string }) => address),
    addresses.toReversed(),
  );
});

test('retained messages are listed and deleted by who published them', async () => {
  const [alice, bob] = await Promise.all(['alice', 'bob'].map((login) => WebUser.logIn(broker, login)));
  for (const as of ['alice', 'bob']) {
    await using client = await RawClient.connect(broker, { as });
    await client.publish(`iotlab/${as}/kept`, 'secret', { retain: true, qos: 1 });
  }
  const topics = async (user: WebUser | undefined) => {
    const { retained } = (await user!.ask('/v1/me/retained')).body as { retained: { topic: string }[] };
    return retained.map(({ topic }) => topic);
  };
  assert.deepEqual(await topics(alice), ['iotlab/alice/kept']);
  const everything = await alice!.ask('/v1/me/retained?filter=%23', { method: 'DELETE' });
  assert.deepEqual(everything.body, { deleted: 1 });
  assert.deepEqual([await topics(alice), await topics(bob)], [[], ['iotlab/bob/kept']]);
});

test('nothing of bob is in any answer or stream of alice, whatever his names are', async () => {
  const alice = await WebUser.logIn(broker, 'alice');
  const stream = await alice.follow('/v1/me/events');
  await stream.says(/here/);
  const secrets = ['bob', 'bobs-client', 'onerror', 'bobs-payload', 'bobs-filter'];
  await using client = await RawClient.connect(broker, { as: 'bob', clientId: `bobs-client${hostile}` });
  await using kept = await RawClient.connect(broker, { as: 'bob', clientId: 'bobs-client-kept', clean: false });
  await kept.subscribe([`iotlab/bob/bobs-filter/${hostile}`, 1], ['iotlab/alice/#', 1]);
  await client.publish(`iotlab/bob/bobs-filter/${hostile}`, 'bobs-payload', { retain: true, qos: 1 });
  client.send(mqtt.publish(`iotlab/alice/${hostile}`, 'bobs-payload'));
  await RawClient.attempt(broker, { as: 'bob', clientId: 'bobs-client', password: 'wrong' });
  await new WebUser(broker).logIn('bob', 'wrong');
  const { body } = await askAdmin(`${broker.folder}/admin.sock`, '/v1/connections?login=bob');
  const [{ n }] = (body as { connections: [{ n: number }] }).connections;
  await askAdmin(`${broker.folder}/admin.sock`, `/v1/traces`, { method: 'POST', body: { login: 'bob' } });
  // A sign of her own, behind all of that.
  await using own = await RawClient.connect(broker, { clientId: 'hers' });
  own.send(mqtt.publish('iotlab/carol/y', ''));
  await stream.says(/iotlab\/carol\/y/);
  const texts = [stream.text];
  for (const resource of resources) texts.push((await alice.ask(`/v1/me${resource}`)).text);
  const kick = await alice.ask(`/v1/me/connections/${n}`, { method: 'DELETE' });
  assert.equal(kick.status, 404);
  texts.push(kick.text);
  for (const text of texts) for (const secret of secrets) assert.ok(!text.includes(secret), `${secret} in ${text}`);
  assert.match(texts.join(), /"client":"hers"/);
  stream.close();
});

test('a flood of what happens is cut short, counted, and costs no memory', async () => {
  const user = await WebUser.logIn(broker, 'alice');
  const stream = await user.follow('/v1/me/events');
  await stream.says(/here/);
  await using client = await RawClient.connect(broker);
  const pages = () => broker.parts().accounts.known('alice')?.balances.pages.bytes;
  const before = pages();
  for (let i = 0; i < 2_000; i++) client.send(mqtt.publish(`iotlab/bob/${i}`, ''));
  await client.publish('iotlab/alice/done', '', { qos: 1 });
  await stream.says(/event: lost/);
  await eventually(5_000, 'nothing is left', () => (pages() ?? 0) <= (before ?? 0));
  stream.close();
});

test('a user may follow in so many windows, and no more', async () => {
  const user = await WebUser.logIn(broker, 'bob');
  const streams = await Promise.all(Array.from({ length: 16 }, () => user.follow('/v1/me/events')));
  assert.deepEqual(new Set(streams.map(({ status }) => status)), new Set([200]));
  assert.equal((await user.ask('/v1/me/events')).status, 503);
  for (const stream of streams) stream.close();
});
