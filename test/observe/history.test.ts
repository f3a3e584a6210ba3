import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageFolder } from '../../src/config/package-folder.js';
import { History } from '../../src/observe/history.js';
import { endInWords, limitHint, refusalInWords } from '../../src/observe/in-words.js';
import { ManualClock } from '../../src/testing/manual-clock.js';

const alice = { login: 'alice', clientId: 'sensor' };
const no = () => 'no';
const nobody = { add: () => {} };

test('a denial is kept once, with how often and since when; its hint is made once', () => {
  const clock = new ManualClock();
  const history = new History(clock, nobody);
  let hints = 0;
  const hint = () => `hint ${++hints}`;
  const start = clock.epochMs();
  for (let i = 0; i < 3; i++) {
    history.denied(alice, 'publish', 'iotlab/bob/x', 'denied', hint);
    clock.advance(1_000);
  }
  history.denied(alice, 'subscribe', 'iotlab/bob/x', 'denied', hint);
  const [first, second] = [...history.denials('alice')];
  assert.deepEqual([first!.count, first!.firstAt - start, first!.lastAt - start, first!.hint], [3, 0, 2_000, 'hint 1']);
  assert.deepEqual([second!.count, second!.hint], [1, 'hint 2']);
  assert.deepEqual([...history.denials('bob')], []);
});

test('one user with denials without end takes nothing from the others, nor from the broker', () => {
  let charged = 0;
  const history = new History(new ManualClock(), {
    add: (bytes) => {
      charged += bytes;
    },
  });
  history.denied({ login: 'bob', clientId: 'b' }, 'publish', 'iotlab/alice', 'denied', no);
  for (let i = 0; i < 100_000; i++)
    history.denied(alice, 'publish', `iotlab/bob/${'x'.repeat(1_000)}${i}`, 'denied', no);
  for (let i = 0; i < 3_000; i++) history.denied(alice, 'publish', `iotlab/bob/${i}`, 'denied', no);
  assert.equal([...history.denials('alice')].length, 200);
  assert.equal([...history.denials('bob')].length, 1);
  for (let i = 0; i < 20_000; i++) history.refused('192.0.2.1', `login${i}`, 'x'.repeat(1_000), 'unknown-user');
  history.refused('192.0.2.2', 'carol', 'c', 'wrong-password');
  for (let i = 0; i < 20_000; i++) history.refused(`192.0.3.${i % 256}`, `login${i}`, null, 'unknown-user');
  assert.ok([...history.refusals()].some(({ login }) => login === 'carol'));
  const end = { ...alice, address: '', protocol: '5', openedAt: 0, reason: 'disconnect', detail: null };
  const traffic = { publishesReceived: 0, publishesSent: 0, bytesReceived: 0, bytesSent: 0 };
  history.ended({ ...end, ...traffic, n: 0, login: 'bob' });
  for (let n = 1; n < 20_000; n++) history.ended({ ...end, ...traffic, n });
  assert.equal([...history.endedConnections('bob')].length, 1);
  assert.ok([...history.endedConnections()].length <= 1_000);
  assert.ok(charged < 12 * 1024 * 1024);
  history.clear();
  assert.equal(charged, 0);
});

test('what happens is told at once, until nobody wants to hear it any more', () => {
  const history = new History(new ManualClock(), nobody);
  const heard: string[] = [];
  const stop = history.listen({
    denied: ({ topic }) => heard.push(topic),
    refused: ({ reason }) => heard.push(reason),
    ended: ({ reason }) => heard.push(reason),
  });
  history.denied(alice, 'publish', 'x', 'denied', no);
  history.refused('192.0.2.1', null, null, 'connect-timeout');
  stop();
  history.denied(alice, 'publish', 'y', 'denied', no);
  assert.deepEqual(heard, ['x', 'connect-timeout']);
});

test('every reason has its sentence', () => {
  const reasonsOf = (file: string, type: string) => {
    const text = readFileSync(join(packageFolder(), file), 'utf8');
    const union = text.slice(text.indexOf(`export type ${type} =`)).split(';', 1)[0] ?? '';
    return [...union.matchAll(/'([a-z-]+)'/g)].map(([, reason = '']) => reason);
  };
  const without = [
    ...reasonsOf('src/session/close-reason.ts', 'CloseReason').filter((it) => endInWords(it, null) === it),
    ...reasonsOf('src/credentials/backend.ts', 'RefusalReason').filter((it) => refusalInWords(it) === it),
    ...reasonsOf('src/session/queue-quota.ts', 'DropReason').filter((it) => limitHint(it) === it),
    ...reasonsOf('src/connection/wire.ts', 'SubscribeRefusal').filter((it) => it !== 'denied' && limitHint(it) === it),
  ];
  assert.deepEqual(without, []);
  assert.equal(
    endInWords('protocol-error', 'PUBLISH with QoS 3'),
    `${endInWords('protocol-error', null)}: PUBLISH with QoS 3`,
  );
});
