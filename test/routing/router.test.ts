import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Qos } from '../../src/mqtt/packets.js';
import { Publication } from '../../src/mqtt/publication.js';
import { isValidTopicFilter, isValidTopicName, topicMatchesFilter } from '../../src/mqtt/topics.js';
import { Router } from '../../src/routing/router.js';
import type { Subscriber } from '../../src/routing/subscriber.js';

class Listener implements Subscriber {
  readonly got: string[] = [];
  connected = true;
  ready = true;
  readonly login: string;
  readonly persistent: boolean;
  constructor(login = 'alice', persistent = false) {
    this.login = login;
    this.persistent = persistent;
  }
  mayReceive(topic: string): boolean {
    return !topic.startsWith('secret');
  }
  deliver(publication: Publication, granted: Qos): void {
    this.got.push(`${publication.topic}@${granted}`);
  }
}

function publish(router: Router, topic: string): void {
  const publication = Publication.of(topic, Buffer.from('x'), 2, false, 'alice');
  const route = router.route(topic);
  for (let i = 0; i < route.targets; i++) route.deliverTo(i, publication);
}

const level = fc.constantFrom('a', 'b', '', 'iotlab', '$SYS');
const filterLevel = fc.constantFrom('a', 'b', '', 'iotlab', '$SYS', '+');
const topic = fc.array(level, { minLength: 1, maxLength: 5 }).map((levels) => levels.join('/'));
const filter = fc
  .tuple(fc.array(filterLevel, { minLength: 1, maxLength: 5 }), fc.boolean())
  .map(([levels, hash]) => [...levels, ...(hash ? ['#'] : [])].join('/'));
const change = fc.record({ who: fc.nat(3), filter, qos: fc.constantFrom<Qos>(0, 1, 2), add: fc.boolean() });

test('whatever is subscribed and unsubscribed in between, a message reaches whom its filters name, once', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(change, topic), { maxLength: 40 }), (steps) => {
      const router = new Router();
      const listeners = [0, 1, 2, 3].map((index) => new Listener('alice', index % 2 === 1));
      const model = listeners.map(() => new Map<string, Qos>());
      for (const step of steps) {
        if (typeof step !== 'string') {
          if (!isValidTopicFilter(step.filter)) continue;
          const listener = listeners[step.who]!;
          if (step.add) {
            router.subscribe(listener, step.filter, step.qos);
            model[step.who]!.set(step.filter, step.qos);
          } else {
            assert.equal(router.unsubscribe(listener, step.filter), model[step.who]!.delete(step.filter));
          }
          continue;
        }
        if (!isValidTopicName(step)) continue;
        publish(router, step);
        for (const [index, listener] of listeners.entries()) {
          const granted: Qos[] = [...model[index]!].filter(([f]) => topicMatchesFilter(step, f)).map(([, qos]) => qos);
          const expected: string[] = granted.length === 0 ? [] : [`${step}@${Math.max(...granted)}`];
          assert.deepEqual(listener.got.splice(0), expected, `${step} to ${[...model[index]!.keys()].join(' ')}`);
        }
      }
    }),
    { numRuns: 2_000 },
  );
});

test('[MQTT-4.7.2-1] wildcards in the first level do not match topics that begin with $', () => {
  const router = new Router();
  const listener = new Listener();
  for (const wide of ['#', '+/uptime', '+/#']) router.subscribe(listener, wide, 0);
  publish(router, '$SYS/uptime');
  assert.deepEqual(listener.got, []);
});

test('what a subscriber may not read is not delivered, whatever it subscribed to', () => {
  const router = new Router();
  const listener = new Listener();
  router.subscribe(listener, '#', 1);
  publish(router, 'secret/x');
  publish(router, 'public/x');
  assert.deepEqual(listener.got, ['public/x@1']);
});

test('a shared subscription goes round its members, passing over those that are stuck or away', () => {
  const router = new Router();
  const members = [new Listener(), new Listener(), new Listener('alice', true)];
  for (const member of members) router.subscribe(member, '$share/g/a/#', 1);
  for (let i = 0; i < 6; i++) publish(router, 'a/b');
  assert.deepEqual(
    members.map(({ got }) => got.splice(0).length),
    [2, 2, 2],
  );
  members[0]!.ready = false;
  for (let i = 0; i < 6; i++) publish(router, 'a/b');
  assert.deepEqual(
    members.map(({ got }) => got.splice(0).length),
    [0, 3, 3],
  );
  for (const member of members) Object.assign(member, { ready: false, connected: false });
  for (let i = 0; i < 4; i++) publish(router, 'a/b');
  assert.deepEqual(
    members.map(({ got }) => got.splice(0).length),
    [0, 0, 4],
    'only the persistent session keeps them',
  );
  assert.equal(router.unsubscribe(members[2]!, '$share/g/a/#'), true);
  publish(router, 'a/b');
  assert.deepEqual(
    members.map(({ got }) => got.length),
    [0, 0, 0],
  );
});

test('a group of one name is another group for another user: neither takes messages from the other', () => {
  const router = new Router();
  const alice = new Listener('alice');
  const bob = new Listener('bob');
  for (const member of [alice, bob]) router.subscribe(member, '$share/g/localisation/#', 0);
  for (let i = 0; i < 3; i++) publish(router, 'localisation/saclay/m3-1');
  assert.deepEqual([alice.got.length, bob.got.length], [3, 3]);
});

test('the cost of a route does not grow with the subscriptions of others', () => {
  const router = new Router();
  for (let i = 0; i < 100_000; i++) router.subscribe(new Listener(`user${i}`), `iotlab/user${i}/node/+/out`, 0);
  const listener = new Listener();
  router.subscribe(listener, 'iotlab/alice/node/+/out', 0);
  const route = router.search('iotlab/alice/node/m3-1/out').proceed(10);
  assert.ok(route !== null, 'ten nodes of the tree are enough to find it');
  const other = router.route('iotlab/user5/node/m3-1/out');
  router.subscribe(listener, 'iotlab/alice/#', 0);
  assert.equal(route.current, false, "a change in alice's tree forgets her routes");
  assert.equal(other.current, true, "and nobody else's");
});
