import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ShareGroup } from '../../src/routing/share-group.js';
import { publicationOf, RecordingSubscriber } from './recording-subscriber.js';

/** A group of members by name. `picked` tells who gets the next messages. */
function groupOf<Name extends string>(members: Record<Name, RecordingSubscriber>) {
  const group = new ShareGroup();
  for (const member of Object.values<RecordingSubscriber>(members)) group.set(member, 1);
  const names = new Map(
    Object.entries<RecordingSubscriber>(members).map(([name, member]) => [member as unknown, name]),
  );
  const picked = (count: number, topic = 'lab/jobs') =>
    Array.from({ length: count }, () => names.get(group.pick(publicationOf(topic))?.subscriber) ?? null);
  return { group, picked };
}

test('each member gets a message in turn', () => {
  const { picked } = groupOf({
    a: new RecordingSubscriber(),
    b: new RecordingSubscriber(),
    c: new RecordingSubscriber(),
  });
  assert.deepEqual(picked(7), ['a', 'b', 'c', 'a', 'b', 'c', 'a']);
});

test('a slow member is passed over while another one keeps up, and has its turn again when it does', () => {
  const slow = new RecordingSubscriber();
  const { picked } = groupOf({ a: new RecordingSubscriber(), slow, c: new RecordingSubscriber() });
  slow.becomeSlow();
  assert.deepEqual(picked(4), ['a', 'c', 'a', 'c']);
  slow.comeBack();
  assert.deepEqual(picked(3), ['a', 'slow', 'c']);
});

test('a member that is away is passed over, though it would keep the message', () => {
  const away = new RecordingSubscriber('alice', true);
  const { picked } = groupOf({ away, b: new RecordingSubscriber() });
  away.leave();
  assert.deepEqual(picked(3), ['b', 'b', 'b']);
  away.comeBack();
  assert.deepEqual(picked(2), ['away', 'b']);
});

test('nobody keeps up: a slow member gets it sooner than one that is away', () => {
  const away = new RecordingSubscriber('alice', true);
  const slow = new RecordingSubscriber();
  for (const members of [
    { away, slow },
    { slow, away },
  ]) {
    const { picked } = groupOf(members);
    away.leave();
    slow.becomeSlow();
    assert.deepEqual(picked(2), ['slow', 'slow']);
  }
});

test('nobody is there: a session that keeps messages gets it, and no other', () => {
  const gone = new RecordingSubscriber();
  const keeps = new RecordingSubscriber('alice', true);
  const { group, picked } = groupOf({ gone, keeps });
  for (const member of [gone, keeps]) member.leave();
  assert.deepEqual(picked(2), ['keeps', 'keeps']);
  group.delete(keeps);
  assert.deepEqual(picked(2), [null, null]);
});

test('a member that may not read the topic is passed over', () => {
  const { picked } = groupOf({ a: new RecordingSubscriber(), b: new RecordingSubscriber() });
  assert.deepEqual(picked(2, 'secret/jobs'), [null, null]);
  assert.deepEqual(picked(2), ['a', 'b']);
});

test('who subscribes again is one member still, with the new QoS', () => {
  const a = new RecordingSubscriber();
  const { group, picked } = groupOf({ a, b: new RecordingSubscriber() });
  group.set(a, 2);
  assert.equal(group.size, 2);
  assert.deepEqual(picked(4), ['a', 'b', 'a', 'b']);
  assert.equal(group.pick(publicationOf('lab/jobs'))?.granted, 2);
});

test('members that leave the group leave the others their turns', () => {
  const [a, b] = [new RecordingSubscriber(), new RecordingSubscriber()];
  const { group, picked } = groupOf({ a, b, c: new RecordingSubscriber() });
  assert.deepEqual(picked(3), ['a', 'b', 'c']);
  assert.equal(group.delete(a), true);
  assert.equal(group.delete(a), false);
  assert.deepEqual(picked(4).sort(), ['b', 'b', 'c', 'c']);
  group.delete(b);
  assert.deepEqual(picked(2), ['c', 'c']);
});
