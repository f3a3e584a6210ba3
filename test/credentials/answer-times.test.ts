import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnswerTimes } from '../../src/credentials/answer-times.js';
import { ManualClock } from '../../src/testing/manual-clock.js';

test('a sample is one of the last times measured, and each of them is taken', async () => {
  const clock = new ManualClock();
  const times = new AnswerTimes(clock);
  assert.equal(times.sampleMs(), 0);
  for (let ms = 1; ms <= 100; ms += 1) {
    const result = await times.measure(async () => {
      clock.advance(ms);
      return ms;
    });
    assert.equal(result, ms);
  }
  const samples = new Set(Array.from({ length: 5_000 }, () => times.sampleMs()));
  assert.deepEqual(
    [...samples].sort((a, b) => a - b),
    Array.from({ length: 32 }, (_, index) => 69 + index),
  );
});

test('it has to be measured until it was, and again when that is a while ago; what fails is no measure', async () => {
  const clock = new ManualClock();
  const times = new AnswerTimes(clock);
  assert.deepEqual([times.mustMeasure(), times.mustMeasure()], [true, true]);
  const failing = times.measure(async () => {
    clock.advance(7);
    throw new Error('no answer');
  });
  await assert.rejects(failing, /no answer/);
  assert.equal(times.mustMeasure(), true);
  await times.measure(async () => clock.advance(3));
  assert.equal(times.mustMeasure(), false);
  clock.advance(4_999);
  assert.equal(times.mustMeasure(), false);
  clock.advance(1);
  // One is enough.
  assert.deepEqual([times.mustMeasure(), times.mustMeasure()], [true, false]);
  assert.equal(times.sampleMs(), 3);
});
