import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { NO_LOCAL, RETAIN_AS_PUBLISHED } from '../../src/mqtt/grant.js';
import type { Qos } from '../../src/mqtt/packets.js';
import { isValidTopicFilter, isValidTopicName, topicMatchesFilter } from '../../src/mqtt/topics.js';
import { Router } from '../../src/routing/router.js';
import { publish, RecordingSubscriber } from './recording-subscriber.js';

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
      const listeners = [0, 1, 2, 3].map((index) => new RecordingSubscriber('alice', index % 2 === 1));
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
  const listener = new RecordingSubscriber();
  for (const wide of ['#', '+/uptime', '+/#']) router.subscribe(listener, wide, 0);
  publish(router, '$SYS/uptime');
  assert.deepEqual(listener.got, []);
});

test('what a subscriber may not read is not delivered, whatever it subscribed to', () => {
  const router = new Router();
  const listener = new RecordingSubscriber();
  router.subscribe(listener, '#', 1);
  publish(router, 'secret/x');
  publish(router, 'public/x');
  assert.deepEqual(listener.got, ['public/x@1']);
});

test('a shared subscription goes round its members, passing over those that are stuck or away', () => {
  const router = new Router();
  const members = [new RecordingSubscriber(), new RecordingSubscriber(), new RecordingSubscriber('alice', true)];
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
  const alice = new RecordingSubscriber('alice');
  const bob = new RecordingSubscriber('bob');
  for (const member of [alice, bob]) router.subscribe(member, '$share/g/localisation/#', 0);
  for (let i = 0; i < 3; i++) publish(router, 'localisation/saclay/m3-1');
  assert.deepEqual([alice.got.length, bob.got.length], [3, 3]);
});

test('the cost of a route does not grow with the subscriptions of others', () => {
  const router = new Router();
  for (let i = 0; i < 100_000; i++) {
    router.subscribe(new RecordingSubscriber(`user${i}`), `iotlab/user${i}/node/+/out`, 0);
  }
  router.subscribe(new RecordingSubscriber(), 'iotlab/alice/node/+/out', 0);
  const route = router.search('iotlab/alice/node/m3-1/out').proceed(10);
  assert.ok(route !== null, 'ten nodes of the tree are enough to find it');
});

describe('a route is current', () => {
  const topics = ['iotlab/alice/node/out', 'iotlab/bob/node/out', 'lab/alice/node/out', 'iotlab', '$share/x'];

  /** The topics among `topics` whose routes are forgotten when `subscriber` subscribes to `filter`, and then unsubscribes. */
  function forgotten(filter: string, subscriber = new RecordingSubscriber()): [string[], string[]] {
    const router = new Router();
    const touchedBy = (change: () => void) => {
      const before = topics.map((topic) => router.route(topic));
      change();
      return topics.filter((_, index) => !before[index]!.current);
    };
    return [
      touchedBy(() => router.subscribe(subscriber, filter, 0)),
      touchedBy(() => assert.equal(router.unsubscribe(subscriber, filter), true)),
    ];
  }

  test('until a subscription in its own tree changes, whosever it is', () => {
    for (const filter of ['iotlab/alice/#', 'iotlab/alice/+/out', 'iotlab/alice/other', '$share/g/iotlab/alice/#']) {
      for (const login of ['alice', 'bob']) {
        const touched = [topics[0]!];
        assert.deepEqual(
          forgotten(filter, new RecordingSubscriber(login)),
          [touched, touched],
          `${filter} of ${login}`,
        );
      }
    }
  });

  test("whatever changes in another user's tree", () => {
    assert.deepEqual(forgotten('iotlab/bob/#'), [[topics[1]], [topics[1]]]);
    assert.deepEqual(forgotten('iotlab/alicea/#'), [[], []]);
    assert.deepEqual(forgotten('iotlab/alicea/+/out'), [[], []]);
  });

  test('until a filter with a wildcard in its first two levels changes: it may match anywhere', () => {
    for (const filter of [
      '#',
      '+',
      '+/#',
      'iotlab/#',
      'iotlab/+',
      'iotlab/+/node/out',
      '+/alice/#',
      '$share/g/iotlab/+/#',
    ]) {
      assert.deepEqual(forgotten(filter), [topics, topics], filter);
    }
  });

  test('when a subscription is taken away that was not there', () => {
    const router = new Router();
    const route = router.route('iotlab/alice/x');
    assert.equal(router.unsubscribe(new RecordingSubscriber(), 'iotlab/alice/x'), false);
    assert.equal(router.unsubscribe(new RecordingSubscriber(), '#'), false);
    assert.equal(route.current, true);
  });

  test('and one that is not current leads to nobody new: the next message finds the new one', () => {
    const router = new Router();
    const [first, second] = [new RecordingSubscriber(), new RecordingSubscriber('bob')];
    router.subscribe(first, 'iotlab/alice/#', 0);
    publish(router, 'iotlab/alice/x');
    router.subscribe(second, 'iotlab/+/x', 1);
    publish(router, 'iotlab/alice/x');
    router.unsubscribe(first, 'iotlab/alice/#');
    publish(router, 'iotlab/alice/x');
    assert.deepEqual(first.got, ['iotlab/alice/x@0', 'iotlab/alice/x@0']);
    assert.deepEqual(second.got, ['iotlab/alice/x@1', 'iotlab/alice/x@1']);
  });
});

test('who subscribes without its own messages gets those of others, unless another filter of its wants all', () => {
  const router = new Router();
  const own = new RecordingSubscriber('alice', false, 'own');
  router.subscribe(own, 'a/#', 1 | NO_LOCAL);
  publish(router, 'a/b', 'own');
  publish(router, 'a/b', 'other');
  publish(router, 'a/b');
  assert.deepEqual(own.got.splice(0), [`a/b@${1 | NO_LOCAL}`, `a/b@${1 | NO_LOCAL}`]);
  router.subscribe(own, 'a/+', 0 | RETAIN_AS_PUBLISHED);
  publish(router, 'a/b', 'own');
  publish(router, 'a/b', 'other');
  // By that filter alone, its own; by both what others publish.
  const both = 1 | NO_LOCAL | RETAIN_AS_PUBLISHED;
  assert.deepEqual(own.got.splice(0), [`a/b@${0 | RETAIN_AS_PUBLISHED}`, `a/b@${both}`]);
  router.subscribe(own, 'a/+', 2 | NO_LOCAL);
  publish(router, 'a/b', 'own');
  publish(router, 'a/b', 'other');
  assert.deepEqual(own.got.splice(0), [`a/b@${2 | NO_LOCAL}`]);
});
