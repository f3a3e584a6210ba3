// When frames are handled: in the order they came, one after the other, whatever one of them waits for.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FrameReader } from '../../src/connection/frame-reader.js';
import type { Job } from '../../src/fairness/job.js';
import { Valve } from '../../src/valve.js';
import { nextTurn, Worker, WorkTime } from '../support/work-time.js';

/** What a frame asks for, as its one byte says. */
interface Wish {
  /** Steps of its job; 0: it is done at once. */
  readonly steps: number;
  readonly stepMs: number;
  /** Whether what comes behind it waits for a valve. */
  readonly closes?: boolean;
  /** Whether it is put back when it comes first. */
  readonly back?: boolean;
}

function setup(wishes: readonly Wish[]) {
  const time = new WorkTime();
  const alice = new Worker(time);
  const diary: string[] = [];
  const valves: Valve[] = [];
  const socket = new Readable({ read() {} });
  let closed = false;
  let ended = 0;
  const failures: unknown[] = [];
  const back = new Set<number>();
  function* job(n: number, { steps, stepMs }: Wish): Job {
    for (let step = 1; step <= steps; step++) {
      time.spend(stepMs);
      if (step < steps) yield;
    }
    diary.push(`${n} done`);
  }
  const reader: FrameReader = new FrameReader(
    socket,
    time.scheduler,
    {
      get closed() {
        return closed;
      },
      ended: () => ended++,
      failed: (error: unknown) => failures.push(error),
    },
    {
      account: alice.account,
      largestFrame: 1_000_000,
      handle(chunk, start, bodyStart, end) {
        const n = chunk.readUInt16BE(bodyStart);
        const wish = wishes[n]!;
        if (wish.back && !back.has(n)) {
          back.add(n);
          reader.toll.close();
          valves.push(reader.toll);
          reader.putBack(end - start);
          return 1;
        }
        diary.push(`${n} begins`);
        if (wish.steps > 0) reader.perform(job(n, wish));
        else {
          time.spend(wish.stepMs);
          diary.push(`${n} done`);
        }
        if (wish.closes) {
          const valve = new Valve();
          valve.close();
          valves.push(valve);
          reader.waitFor(valve);
        }
        return 1;
      },
    },
  );
  socket.on('data', (chunk: Buffer) => reader.read(chunk));
  const close = () => {
    closed = true;
    reader.close();
  };
  return { time, scheduler: time.scheduler, alice, diary, valves, socket, reader, failures, close, ended: () => ended };
}

/** Frames that carry their number, and so much besides. */
function frame(n: number, paddingBytes = 0): Buffer {
  const body = Buffer.alloc(2 + paddingBytes);
  body.writeUInt16BE(n);
  const length: number[] = [];
  for (let rest = body.length; ; rest >>= 7) {
    length.push((rest & 127) | (rest > 127 ? 128 : 0));
    if (rest <= 127) break;
  }
  return Buffer.concat([Buffer.from([0x30, ...length]), body]);
}

const inOrder = (count: number) => Array.from({ length: count }, (_, n) => [`${n} begins`, `${n} done`]).flat();

const wish = fc.record({
  steps: fc.oneof(fc.constant(0), fc.nat(12)),
  stepMs: fc.constantFrom(0.01, 0.3, 0.9, 2),
  paddingBytes: fc.oneof(fc.constant(0), fc.nat(300)),
  closes: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  back: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
});

test('each frame begins when the one before it is done, however they are cut, and whoever else has work', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(wish, { minLength: 1, maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 60 }),
      fc.array(fc.boolean(), { minLength: 1 }),
      async (wishes, cuts, turns) => {
        const { time, scheduler, diary, valves, socket, failures, ended } = setup(wishes);
        new Worker(time).keepBusy(0.5, 40);
        const bytes = Buffer.concat(wishes.map(({ paddingBytes }, n) => frame(n, paddingBytes)));
        for (let at = 0, piece = 0; at < bytes.length; piece++) {
          const end = at + cuts[piece % cuts.length]!;
          socket.push(bytes.subarray(at, end));
          at = end;
          if (turns[piece % turns.length]) await nextTurn();
        }
        socket.on('end', () => {});
        for (let turn = 0; turn < 10_000 && diary.length < 2 * wishes.length; turn++) {
          await nextTurn();
          for (const valve of valves.splice(0)) valve.open();
        }
        assert.deepEqual(diary, inOrder(wishes.length));
        assert.deepEqual([...failures, ...time.failures], []);
        assert.equal(ended(), 0);
        for (const valve of valves.splice(0)) valve.open();
        await scheduler.whenIdle();
      },
    ),
    { numRuns: 200 },
  );
});

describe('what waits', () => {
  test('behind a job goes on when that is done, with the turns of others in between', async () => {
    const { scheduler, alice, diary, socket, time } = setup([
      { steps: 30, stepMs: 0.25 },
      { steps: 0, stepMs: 0 },
    ]);
    const bob = new Worker(time);
    socket.push(Buffer.concat([frame(0), frame(1)]));
    await nextTurn();
    assert.deepEqual(diary, ['0 begins']);
    bob.work(0.1, () => diary.push('bob'));
    await scheduler.whenIdle();
    assert.deepEqual(diary, ['0 begins', 'bob', '0 done', '1 begins', '1 done']);
    assert.equal(alice.account.balances.readAhead.bytes, 0);
  });

  test('for a valve goes on when that opens', async () => {
    const { scheduler, diary, socket, valves, reader } = setup([
      { steps: 0, stepMs: 0, closes: true },
      { steps: 0, stepMs: 0 },
    ]);
    socket.push(Buffer.concat([frame(0), frame(1)]));
    await nextTurn();
    await scheduler.whenIdle();
    assert.deepEqual(diary, ['0 begins', '0 done']);
    assert.equal(reader.waiting, true);
    valves[0]!.open();
    await scheduler.whenIdle();
    assert.deepEqual(diary, inOrder(2));
  });

  test('is handled before the end of the connection is told', async () => {
    const { scheduler, diary, socket, reader, ended } = setup([
      { steps: 10, stepMs: 0.5 },
      { steps: 10, stepMs: 0.5 },
    ]);
    socket.push(Buffer.concat([frame(0), frame(1)]));
    await nextTurn();
    reader.end();
    assert.equal(ended(), 0);
    await scheduler.whenIdle();
    assert.deepEqual(diary, inOrder(2));
    assert.equal(ended(), 1);
  });

  test('is charged to whom it belongs, and given back when the connection ends; a job is done all the same', async () => {
    const { scheduler, alice, diary, socket, close } = setup([
      { steps: 10, stepMs: 0.5 },
      { steps: 0, stepMs: 0 },
    ]);
    socket.push(Buffer.concat([frame(0), frame(1), frame(2, 500).subarray(0, 100)]));
    await nextTurn();
    assert.ok(alice.account.balances.readAhead.bytes > 100);
    close();
    assert.equal(alice.account.heldBytes, 0);
    await scheduler.whenIdle();
    assert.deepEqual(diary, ['0 begins', '0 done']);
  });
});

describe('a connection that has to make way', () => {
  test('handles what it has read, whatever that waits for, and reads no further', async () => {
    const { scheduler, diary, socket, reader } = setup([
      { steps: 10, stepMs: 0.5, closes: true },
      { steps: 10, stepMs: 0.5, closes: true },
      { steps: 0, stepMs: 0 },
      { steps: 0, stepMs: 0 },
    ]);
    socket.push(Buffer.concat([frame(0), frame(1), frame(2)]));
    await nextTurn();
    let handled = 0;
    reader.handleAll(() => {
      handled++;
      assert.deepEqual(diary, inOrder(3));
    }, false);
    socket.push(frame(3));
    await nextTurn();
    await scheduler.whenIdle();
    assert.equal(handled, 1);
    assert.deepEqual(diary, inOrder(3));
  });

  for (const atOnce of [false, true]) {
    test(`keeps to the rate of its user${atOnce ? ', unless there is no time' : ''}`, async () => {
      const { scheduler, diary, socket, reader, valves } = setup([
        { steps: 0, stepMs: 0, back: true },
        { steps: 0, stepMs: 0, closes: true },
        { steps: 0, stepMs: 0 },
      ]);
      socket.push(Buffer.concat([frame(0), frame(1), frame(2)]));
      await nextTurn();
      let handled = 0;
      reader.handleAll(() => handled++, atOnce);
      await scheduler.whenIdle();
      if (!atOnce) {
        assert.deepEqual([handled, diary], [0, []]);
        valves[0]!.open();
        await scheduler.whenIdle();
      }
      assert.deepEqual([handled, diary], [1, inOrder(3)]);
    });
  }

  test('does so at once when nothing waits', () => {
    const { reader } = setup([]);
    let handled = 0;
    reader.handleAll(() => handled++, false);
    assert.equal(handled, 1);
  });
});

test('who has closed waits nowhere, and comes to wait nowhere any more', async () => {
  const { scheduler, reader, socket, valves, close } = setup([{ steps: 0, stepMs: 0, closes: true }]);
  socket.push(Buffer.concat([frame(0), frame(0)]));
  await nextTurn();
  await scheduler.whenIdle();
  const own = new Valve();
  own.close();
  reader.waitFor(own);
  assert.deepEqual([valves[0]!.waiting, own.waiting], [1, 1]);
  close();
  assert.deepEqual([valves[0]!.waiting, own.waiting], [0, 0]);
  reader.waitFor(own);
  assert.equal(own.waiting, 0);
});

test('what a connection asked for waits on for what it waits for as the connection ends', async () => {
  const { scheduler, reader, socket, close, failures } = setup([{ steps: 0, stepMs: 0 }]);
  const valve = new Valve();
  valve.close();
  const steps: string[] = [];
  function* waits(): Job {
    steps.push('begins');
    yield valve;
    steps.push(valve.closed ? 'goes on too early' : 'goes on');
  }
  socket.push(frame(0));
  await nextTurn();
  reader.perform(waits());
  socket.push(frame(0));
  await nextTurn();
  await scheduler.whenIdle();
  assert.deepEqual(steps, ['begins']);
  close();
  await scheduler.whenIdle();
  assert.deepEqual(steps, ['begins']);
  valve.open();
  await scheduler.whenIdle();
  assert.deepEqual([steps, failures], [['begins', 'goes on'], []]);
});

test('it is told when what waited for its turn waits for what may be long', async () => {
  const { scheduler, reader, socket, valves } = setup([
    { steps: 4, stepMs: 0.9 },
    { steps: 0, stepMs: 0, back: true },
  ]);
  const told: boolean[] = [];
  reader.onPaused = () => told.push(reader.waiting && reader.stopped);
  socket.push(Buffer.concat([frame(0), frame(1)]));
  await nextTurn();
  await scheduler.whenIdle();
  assert.deepEqual([valves.length, told], [1, [true]]);
});
