import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answer, Sink } from '../../src/admin/route.js';
import { systemClock } from '../../src/clock.js';
import type { Question, Word } from '../../src/cluster/link.js';
import { Shard } from '../../src/cluster/shard.js';
import { answerSupervisor, type Operator } from '../../src/cluster/shard-link.js';
import { captureLog } from '../support/captured-log.js';
import { eventually } from '../support/deadline.js';

type StreamAnswer = Extract<Answer, { kind: 'stream' }>;

const received = { method: 'GET', url: '/v1/traces/1/stream', body: null, caller: {} } as never;

test('a shard counts what it wrote to a stream until it hears that a reader took it', async () => {
  const said: Word[] = [];
  let ask = (_: Question): void => assert.fail('nobody listens');
  const channel = {
    send: (word: Word, ..._: unknown[]) => said.push(word) > 0,
    on: (_: string, listener: (question: Question) => void) => (ask = listener),
    once() {},
  };
  const sinks: Sink[] = [];
  const begin = (sink: Sink) => void sinks.push(sink);
  const operator = { answer: async () => ({ kind: 'stream', type: 'text/plain', begin }) };
  answerSupervisor(channel, operator as unknown as Operator);
  ask({ id: 7, kind: 'admin', received });
  await eventually(1_000, 'the stream', () => sinks.length === 1);
  const [sink] = sinks as [Sink];
  sink.write('a'.repeat(1_000));
  assert.equal(sink.unsentBytes, 1_000);
  ask({ id: 7, kind: 'taken', length: 400 });
  assert.equal(sink.unsentBytes, 600);
  ask({ id: 8, kind: 'taken', length: 400 });
  assert.equal(sink.unsentBytes, 600);
  sink.end();
  ask({ id: 7, kind: 'taken', length: 600 });
  assert.deepEqual([sink.unsentBytes, said.at(-1)], [0, { kind: 'end', id: 7 }]);
});

/** A shard that streams a thousand bytes to whoever asks, says what of it is said to be taken, and stops at `stop`. */
const script = `
process.on('message', ({ id, kind, length = 0, received }) => {
  if (kind === 'health') while (true);
  if (kind === 'taken' && length > 100) process.send({ kind: 'part', id, text: 'taken ' + length });
  if (kind !== 'admin') return;
  process.send({ kind: 'answer', id, answer: { kind: 'stream', type: 'text/plain' } });
  process.send({ kind: 'part', id, text: 'x'.repeat(1000) });
});
process.send({ kind: 'serving' });`;

test('the supervisor says what the reader of a stream has taken, and knows a shard that does not answer', async (t) => {
  const captured = captureLog();
  const shard = new Shard({
    ...{ shard: 0, args: ['-e', script], env: process.env, stopTimeoutMs: 0, leastPauseMs: 0 },
    ...{ log: captured.log, clock: systemClock },
  });
  t.after(() => shard.stop());
  await shard.start();
  const answer = await shard.answer(received);
  const texts: string[] = [];
  const sink = { unsentBytes: 600, write: (text: string) => void texts.push(text), end() {}, onClose() {} };
  (answer as StreamAnswer).begin(sink);
  await eventually(5_000, 'what a slow reader took', () => texts.includes('taken 400'));
  sink.unsentBytes = 0;
  await eventually(5_000, 'the rest', () => texts.includes(`taken ${600 + 'taken 400'.length}`));

  assert.equal(shard.silent, false);
  assert.equal(await shard.health(), null);
  assert.equal(shard.silent, true);
  const askedAtMs = performance.now();
  const { status } = (await shard.answer(received)) as Extract<Answer, { kind: 'json' }>;
  assert.equal(status, 503);
  assert.ok(performance.now() - askedAtMs < 1_500, 'nobody waits long for it again');
  await captured.waitFor(/shard does not answer/);
});
