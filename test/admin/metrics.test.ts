import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { MetricsText, readMetrics } from '../support/metrics.js';
import * as mqtt from '../support/packets.js';
import { openPage, sectionOf, tableRows } from '../support/pages.js';
import { freePort } from '../support/ports.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { startTestBroker, type TestBroker } from '../support/test-broker.js';

let broker: TestBroker;
let port = 0;
const metrics = () => readMetrics(port);

before(async () => {
  port = await freePort();
  const limits = { connectionsPerUser: 4, retainedMessagesPerUser: 2, queuedMessages: 2 };
  broker = await startTestBroker({ store: 'folder', config: { limits, admin: { port } } });
});
after(() => broker.stop());

test('every metric has a help text and a type; counters end in _total, and nothing names a user', async () => {
  await using alice = await RawClient.connect(broker, { clientId: 'a-client-id-to-be-found' });
  await alice.subscribe(['iotlab/alice/#', 1]);
  const { types, help, samples } = await metrics();
  assert.deepEqual([...types.keys()].sort(), [...help.keys()].sort());
  for (const [name, type] of types) {
    assert.match(name, /^(iotlab_broker_[a-z_]+|process_[a-z_]+|nodejs_eventloop_lag_seconds)$/);
    assert.equal(name.endsWith('_total'), type === 'counter', name);
    assert.ok(
      samples.some((sample) => sample.name.startsWith(name)),
      `${name} has no sample`,
    );
  }
  for (const { name } of samples) {
    assert.ok(types.has(name) || types.has(name.replace(/_(bucket|sum|count)$/, '')), name);
  }
  assert.doesNotMatch(JSON.stringify(samples), /alice|a-client-id|127\.0\.0\.1/);
});

test('docs/operating.md names every metric with its kind and its labels, and no other', async () => {
  const { types, help, samples } = await metrics();
  const rows = tableRows(sectionOf(openPage('docs/operating.md'), 'Watch it with Prometheus'));
  const described = rows.map((row) => row.map((cell) => cell.replaceAll('`', '')));
  const there = [...types].map(([name, type]) => {
    const own = samples.filter(
      (sample) => sample.name.replace(/_(bucket|sum|count)$/, '') === name || sample.name === name,
    );
    const labels = new Set(own.flatMap((sample) => Object.keys(sample.labels)).filter((label) => label !== 'le'));
    return [name.replace('iotlab_broker_', ''), type, [...labels].join(', '), help.get(name)!];
  });
  assert.deepEqual(described, there);
});

test('the same in OpenMetrics, for who asks for it', async () => {
  const accept = 'application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
  const response = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { accept } });
  assert.match(response.headers.get('content-type') ?? '', /^application\/openmetrics-text; version=1\.0\.0/);
  const text = await response.text();
  assert.match(text, /\n# EOF\n$/);
  const { types } = new MetricsText(text.replace(/# EOF\n$/, ''));
  assert.equal(types.get('iotlab_broker_publishes_received'), 'counter');
  assert.ok(![...types.keys()].some((name) => name.endsWith('_total')));
});

test('what there is now: connections, sessions, subscriptions, what waits', async () => {
  const kept = await RawClient.connect(broker, { clean: false, clientId: freshId() });
  await kept.subscribe(['iotlab/alice/kept', 1], ['iotlab/alice/+', 1], ['$share/g/iotlab/alice/shared', 0]);
  await kept.disconnect();
  await using bob = await RawClient.connect(broker, { as: 'bob', level: 3 });
  await using stranger = await RawClient.open(broker);
  await using alice = await RawClient.connect(broker);
  await alice.publish('iotlab/alice/kept', 'x', { qos: 1, retain: true });
  const now = await metrics();
  assert.deepEqual(now.by('protocol', 'connections'), { '3.1': 1, '3.1.1': 1 });
  assert.equal(now.sum('connections_pending'), 1);
  assert.deepEqual(now.by('state', 'sessions'), { connected: 2, away: 1 });
  assert.deepEqual(now.by('kind', 'subscriptions'), { plain: 1, wildcard: 1, shared: 1 });
  assert.deepEqual([now.sum('users_online'), now.sum('queued_messages'), now.sum('retained_messages')], [2, 1, 1]);
  assert.ok(now.sum('queued_bytes') > 0 && now.sum('retained_bytes') > 0);
  assert.deepEqual(now.by('part', 'up'), { store: 1, credentials: 1, listener: 1 });
  assert.ok(now.sum('tls_certificate_expiry_timestamp_seconds', { role: 'server' }) > Date.now() / 1e3);
  assert.ok(now.sum('store_size_bytes') > 0);
  await using again = await RawClient.connect(broker, { clean: true, clientId: kept.clientId });
  assert.deepEqual((await metrics()).by('kind', 'subscriptions'), {});
  await alice.publish('iotlab/alice/kept', '', { qos: 1, retain: true });
  for (const client of [bob, stranger, again]) client.cut();
});

/** What the counters grow by while `run` runs. */
async function growth(run: () => Promise<unknown>): Promise<(name: string, labels?: Record<string, string>) => number> {
  const earlier = await metrics();
  await run();
  const later = await metrics();
  return (name, labels) => later.sum(name, labels) - earlier.sum(name, labels);
}

test('who is let in, who is not, and why it ended', async () => {
  const grown = await growth(async () => {
    const one = await RawClient.connect(broker, { as: 'bob', clientId: 'taken' });
    await using two = await RawClient.connect(broker, { as: 'bob', clientId: 'taken' });
    await one.closed();
    await assert.rejects(RawClient.connect(broker, { as: 'nobody' }));
    const rude = await RawClient.open(broker);
    rude.send(mqtt.pingreq());
    await rude.closed();
    const more = await Promise.all([1, 2, 3].map(() => RawClient.connect(broker, { as: 'bob' })));
    assert.equal((await RawClient.attempt(broker, { as: 'bob' })).code, 3);
    await Promise.all([...more, two].map((client) => client.disconnect()));
  });
  assert.equal(grown('connections_opened_total', { protocol: '3.1.1', transport: 'tls' }), 5);
  assert.equal(grown('connections_closed_total', { reason: 'taken-over' }), 1);
  assert.equal(grown('connections_closed_total', { reason: 'disconnect' }), 4);
  assert.equal(grown('connections_refused_total', { reason: 'unknown-user' }), 1);
  assert.equal(grown('connections_refused_total', { reason: 'protocol-error' }), 1);
  assert.equal(grown('connections_refused_total', { reason: 'too-many-connections' }), 1);
  assert.equal(grown('user_limit_hits_total', { limit: 'connectionsPerUser' }), 1);
  assert.equal(grown('authentications_total', { backend: 'file', result: 'accepted' }), 6);
  assert.equal(grown('authentications_total', { backend: 'file', result: 'refused' }), 1);
  assert.equal(grown('authentication_duration_seconds_count'), 7);
  assert.equal(grown('connect_duration_seconds_count', { result: 'accepted' }), 5);
  assert.equal(grown('connect_duration_seconds_count', { result: 'refused' }), 2);
  assert.equal(grown('tls_handshakes_total', { result: 'secure' }), 8);
  assert.equal(grown('tls_handshake_duration_seconds_count'), 8);
});

test('what is denied, dropped, not kept, and published for who is gone', async () => {
  const topic = `iotlab/alice/${freshId()}`;
  const grown = await growth(async () => {
    const kept = await RawClient.connect(broker, { clean: false, clientId: freshId() });
    await kept.subscribe([topic, 1], ['iotlab/bob/#', 1], ['iotlab/alice/2', 1]);
    await kept.disconnect();
    await using alice = await RawClient.connect(broker);
    for (let i = 0; i < 5; i++) await alice.publish(topic, 'x', { qos: 1 });
    await alice.publish('iotlab/bob/x', 'x', { qos: 2 });
    await alice.publish('iotlab/alice/nobody', 'x', { qos: 1 });
    for (let i = 0; i < 3; i++) await alice.publish(`iotlab/alice/r/${i}`, 'x', { qos: 1, retain: true });
    const watcher = await RawClient.connect(broker, { as: 'bob' });
    await watcher.subscribe(['iotlab/bob/will', 0]);
    for (const will of [{ topic: 'iotlab/bob/will' }, { topic: 'iotlab/alice/will' }]) {
      const lost = await RawClient.connect(broker, { as: 'bob', clientId: 'lost', will: { ...will, payload: 'x' } });
      lost.cut();
      await lost.closed();
    }
    await watcher.receive();
    // Its CONNACK comes behind the Will of the one before.
    await (await RawClient.connect(broker, { as: 'bob', clientId: 'lost' })).disconnect();
    await watcher.disconnect();
    await (await RawClient.connect(broker, { clientId: kept.clientId })).disconnect();
  });
  assert.equal(grown('authorizations_total', { action: 'publish', result: 'denied' }), 1);
  assert.equal(grown('authorizations_total', { action: 'publish', result: 'allowed' }), 9);
  assert.equal(grown('authorizations_total', { action: 'subscribe', result: 'allowed' }), 3);
  assert.equal(grown('authorizations_total', { action: 'subscribe', result: 'denied' }), 1);
  assert.equal(grown('authorizations_total', { action: 'will', result: 'allowed' }), 1);
  assert.equal(grown('authorizations_total', { action: 'will', result: 'denied' }), 1);
  assert.equal(grown('wills_published_total'), 1);
  assert.equal(grown('messages_dropped_total', { reason: 'queue-full' }), 3);
  assert.equal(grown('user_limit_hits_total', { limit: 'queuedMessages' }), 3);
  assert.equal(grown('user_limit_hits_total', { limit: 'retainedMessagesPerUser' }), 1);
  assert.equal(grown('publishes_unrouted_total'), 4);
  assert.ok(grown('store_commit_operations_count') > 0);
  assert.equal(grown('store_commit_operations_count'), grown('store_commit_duration_seconds_count'));
});

test('however many ask, each gets an answer of its own time', async () => {
  const before = (await metrics()).sum('connections_opened_total');
  const asking = Promise.all(Array.from({ length: 30 }, metrics));
  await using alice = await RawClient.connect(broker);
  const after = await metrics();
  assert.equal(after.sum('connections_opened_total'), before + 1);
  for (const each of await asking) assert.ok(each.sum('connections_opened_total') >= before);
  await alice.disconnect();
});
