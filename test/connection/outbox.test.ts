import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '../../src/clock.js';
import { Outbox } from '../../src/connection/outbox.js';
import { writePublish } from '../../src/connection/publish-bytes.js';
import { ConnectionTraffic } from '../../src/mqtt/traffic.js';
import { Counters } from '../../src/observe/counters.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { networkAccount, newScheduler } from '../support/accounts.js';

/** A socket that keeps what it is given and takes its time: `release` completes the write under way. */
class SlowSocket extends Duplex {
  readonly taken: Buffer[] = [];
  private done: (() => void) | null = null;
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.taken.push(Buffer.from(chunk));
    this.done = done;
  }
  release(): boolean {
    const { done } = this;
    this.done = null;
    done?.();
    return done !== null;
  }
}

const quiet = { expectsMore: false, waiting: false, stopped: false };
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

const step = fc.oneof(
  fc.record({ kind: fc.constant('verbatim' as const), chunk: fc.nat(2), at: fc.nat(400), length: fc.nat(300) }),
  fc.record({ kind: fc.constant('follow' as const), length: fc.nat(300) }),
  fc.record({ kind: fc.constant('publish' as const), topic: fc.nat(40), payload: fc.nat(9_000), id: fc.nat(65_535) }),
  fc.record({ kind: fc.constant('acknowledge' as const), id: fc.nat(65_535) }),
  fc.record({ kind: fc.constant('turn' as const) }),
  fc.record({ kind: fc.constant('release' as const) }),
);

test('bytes leave in the order they were given, whatever the mixture and however slow the socket', async () => {
  const chunks = [1, 2, 3].map((seed) => Buffer.from(Array.from({ length: 1_000 }, (_, i) => (i * seed) & 255)));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const socket = new SlowSocket();
      const outbox = new Outbox(
        socket,
        { scheduler: newScheduler(), clock: systemClock },
        quiet,
        networkAccount(),
        new ConnectionTraffic(new Counters()),
      );
      const expected: Buffer[] = [];
      let last: { chunk: Buffer; end: number } = { chunk: chunks[0]!, end: 0 };
      const verbatim = (chunk: Buffer, start: number, end: number) => {
        outbox.verbatim(chunk, start, end);
        expected.push(Buffer.from(chunk.subarray(start, end)));
        last = { chunk, end };
      };
      for (const action of steps) {
        if (action.kind === 'verbatim') {
          verbatim(chunks[action.chunk]!, action.at, action.at + action.length);
        } else if (action.kind === 'follow') {
          verbatim(last.chunk, last.end, Math.min(last.end + action.length, last.chunk.length));
        } else if (action.kind === 'publish') {
          const body = Buffer.alloc(2 + action.topic + 2 + action.payload, action.id & 255);
          const topicEnd = 2 + action.topic;
          writePublish(outbox, 0x32, body, 0, topicEnd, action.id, topicEnd + 2, body.length);
          const sent =
            action.id === 0 ? Buffer.concat([body.subarray(0, topicEnd), body.subarray(topicEnd + 2)]) : body;
          if (action.id !== 0) body.writeUInt16BE(action.id, topicEnd);
          const length: number[] = [];
          for (let rest = sent.length; ; rest >>= 7) {
            length.push((rest & 127) | (rest > 127 ? 128 : 0));
            if (rest <= 127) break;
          }
          expected.push(Buffer.from([0x32, ...length]), Buffer.from(sent));
        } else if (action.kind === 'acknowledge') {
          outbox.acknowledge(0x40, action.id);
          expected.push(Buffer.from([0x40, 2, action.id >> 8, action.id & 255]));
        } else if (action.kind === 'turn') await nextTurn();
        else socket.release();
      }
      do await nextTurn();
      while (socket.release() || outbox.bytes > 0 || outbox.busy);
      assert.ok(Buffer.concat(socket.taken).equals(Buffer.concat(expected)));
      assert.equal(outbox.bytes, 0);
    }),
    { numRuns: 300 },
  );
});

test('everything of one turn is one write, and messages that came together leave without a copy', async () => {
  const socket = new SlowSocket();
  const writes: Buffer[] = [];
  socket._write = (chunk, _encoding, done) => {
    writes.push(chunk);
    done();
  };
  const outbox = new Outbox(
    socket,
    { scheduler: newScheduler(), clock: systemClock },
    quiet,
    networkAccount(),
    new ConnectionTraffic(new Counters()),
  );
  const chunk = Buffer.allocUnsafeSlow(1_000);
  for (let at = 0; at < 1_000; at += 100) outbox.verbatim(chunk, at, at + 100);
  await nextTurn();
  assert.equal(writes.length, 1);
  assert.equal(writes[0]!.buffer, chunk.buffer, 'the received bytes themselves');
});

test('answers are held while received bytes wait to be handled, messages are not', async () => {
  const socket = new SlowSocket();
  const reading = { expectsMore: false, waiting: true, stopped: false };
  const outbox = new Outbox(
    socket,
    { scheduler: newScheduler(), clock: systemClock },
    reading,
    networkAccount(),
    new ConnectionTraffic(new Counters()),
  );
  outbox.acknowledge(0x40, 1);
  await nextTurn();
  assert.equal(socket.taken.length, 0);
  writePublish(outbox, 0x30, Buffer.from([0, 1, 97, 0, 0, 120]), 0, 3, 0, 5, 6);
  await nextTurn();
  assert.deepEqual([...socket.taken[0]!], [0x40, 2, 0, 1, 0x30, 4, 0, 1, 97, 120]);
  socket.release();
  await nextTurn();
  outbox.acknowledge(0x40, 2);
  await nextTurn();
  reading.waiting = false;
  outbox.resume();
  await nextTurn();
  assert.deepEqual([...socket.taken[1]!], [0x40, 2, 0, 2]);
});

test('answers are held for a moment only while received bytes wait for a valve', async () => {
  const socket = new SlowSocket();
  const clock = new ManualClock();
  const scheduler = newScheduler();
  const reading = { expectsMore: false, waiting: true, stopped: false };
  const traffic = new ConnectionTraffic(new Counters());
  const outbox = new Outbox(socket, { scheduler, clock }, reading, networkAccount(), traffic);
  outbox.acknowledge(0x40, 1);
  await nextTurn();
  // They waited for their turn, and do so now for what may be long.
  reading.stopped = true;
  outbox.resume();
  await nextTurn();
  clock.advance(9);
  outbox.acknowledge(0x40, 2);
  await nextTurn();
  assert.equal(socket.taken.length, 0);
  clock.advance(1);
  await nextTurn();
  assert.deepEqual([...socket.taken[0]!], [0x40, 2, 0, 1, 0x40, 2, 0, 2]);
  // And no sooner the next time.
  socket.release();
  outbox.acknowledge(0x40, 3);
  await nextTurn();
  assert.equal(socket.taken.length, 1);
  clock.advance(10);
  await nextTurn();
  assert.equal(socket.taken.length, 2);
  outbox.close();
});
