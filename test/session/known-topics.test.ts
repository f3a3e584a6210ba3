// What a user's connections know together about topics: bounded, counted, and given back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Router } from '../../src/routing/router.js';
import { isKnown, type KnownTopic, KnownTopics } from '../../src/session/known-topics.js';
import { RecordingSubscriber } from '../routing/recording-subscriber.js';
import { userAccount } from '../support/accounts.js';

function setup() {
  const { topics: balance } = userAccount().balances;
  const topics = new KnownTopics(balance);
  const add = (key: string): KnownTopic => {
    const known: KnownTopic = { topic: key, key, allowed: true, route: null, routeBytes: null };
    topics.add(known);
    return known;
  };
  return { topics, balance, add };
}

/** A route of one topic to so many, found under two filters each, so that its list is of its own. */
function routeTo(count: number) {
  const router = new Router();
  for (let i = 0; i < count; i++) {
    const subscriber = new RecordingSubscriber();
    for (const filter of ['iotlab/alice/x', 'iotlab/alice/#']) router.subscribe(subscriber, filter, 0);
  }
  return router.route('iotlab/alice/x');
}

test('four thousand topics are known, and the memory of them is counted', () => {
  const { topics, balance, add } = setup();
  for (let i = 0; i < 4_096; i++) add(`iotlab/alice/${i}`);
  const { bytes } = balance;
  assert.ok(bytes > 4_096 * 320);
  add('iotlab/alice/one-more');
  assert.equal(topics.get('iotlab/alice/one-more'), undefined);
  assert.equal(balance.bytes, bytes, 'what is not remembered costs nothing');
  assert.equal(topics.get('iotlab/alice/0')?.topic, 'iotlab/alice/0');
  topics.clear();
  assert.equal(balance.bytes, 0);
  assert.equal(topics.get('iotlab/alice/0'), undefined);
});

test('a list of receivers that is the topic’s own counts with it; one that others have too does not', () => {
  const { topics, balance, add } = setup();
  const known = add('x');
  const { bytes } = balance;
  const own = routeTo(100);
  assert.equal(own.shared, false);
  topics.setRoute(known, own);
  assert.equal(balance.bytes, bytes + 100 * 40);
  topics.setRoute(known, routeTo(10));
  assert.equal(balance.bytes, bytes + 10 * 40, 'in the place of the one before');
  const router = new Router();
  router.subscribe(new RecordingSubscriber(), 'x', 0);
  topics.setRoute(known, router.route('x'));
  assert.equal(balance.bytes, bytes);
});

test('routes count against the same limit: eight megabytes of them are enough', () => {
  const { topics, add } = setup();
  const large = routeTo(3_000);
  for (let i = 0; i < 80; i++) topics.setRoute(add(`${i}`), large);
  add('one more');
  assert.equal(topics.get('one more'), undefined);
});

test('a route of a topic that is not remembered is not counted, nor one that comes when all was forgotten', () => {
  const { topics, balance, add } = setup();
  const known = add('x');
  topics.clear();
  topics.setRoute(known, routeTo(10));
  topics.setRoute({ topic: 'y', key: 'y', allowed: true, route: null, routeBytes: null }, routeTo(10));
  assert.equal(balance.bytes, 0);
  assert.ok(known.route?.current, 'it is good all the same');
});

test('who goes on asking for others than those that are known begins anew, by and by', () => {
  const { topics, add } = setup();
  for (let i = 0; i < 4_096; i++) add(`old/${i}`);
  let asked = 0;
  for (; topics.get(`new/${asked}`) === undefined && asked < 200_000; add(`new/${asked}`)) asked++;
  assert.ok(asked >= 65_536 - 4_096 && asked < 70_000, `after ${asked}`);
  assert.equal(topics.get('old/0'), undefined);
  const known = add('old/0');
  assert.equal(topics.get('old/0'), known);
});

test('the topic of the last message is told from others by its bytes, for as long as it is remembered', () => {
  const { topics, add } = setup();
  const chunk = Buffer.from('..iotlab/alice/node-1..');
  const known = add('iotlab/alice/node-1');
  const end = 2 + known.key.length;
  assert.ok(isKnown(known, chunk, 2, end));
  for (const other of ['iotlab/alice/node-2', 'jotlab/alice/node-1', 'iotlab/alice/node', 'iotlab/alice/node-11']) {
    assert.ok(!isKnown(add(other), chunk, 2, end), other);
  }
  assert.ok(!isKnown({ ...known, routeBytes: null }, chunk, 2, end), 'it never was remembered');
  topics.clear();
  assert.ok(!isKnown(known, chunk, 2, end), 'the access rules may be others now');
  // A character of the key is a byte, not a letter.
  const letters = Buffer.from('iotlab/alice/zimmer-é');
  assert.ok(isKnown(add(letters.toString('latin1')), letters, 0, letters.length));
});
