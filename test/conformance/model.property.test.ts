import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { useTestBroker } from '../support/test-broker.js';
import { World } from './model.js';

const broker = useTestBroker({ store: 'folder' });
const numRuns = Number(process.env.MODEL_RUNS ?? 40);

const subscriber = fc.nat({ max: 1 });
const publisher = fc.nat({ max: 1 });
const qos = fc.nat({ max: 2 });
const leaf = fc.constantFrom('a', 'b', 'c/d');
const filter = fc.constantFrom('#', '+', 'a', 'b', 'c/#', 'c/+');

const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('publish' as const), publisher, leaf, qos, retain: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('burst' as const), publisher, leaf, qos }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('interrupted' as const), publisher, leaf, qos }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('subscribe' as const), subscriber, filter, qos }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unsubscribe' as const), subscriber, filter }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('connect' as const), subscriber }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('disconnect' as const), subscriber }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), subscriber }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('acknowledge' as const),
      subscriber,
      count: fc.integer({ min: 1, max: 9 }),
    }),
  },
);

test('whatever publishers, subscribers and acknowledgements do: what may come comes, in order, as often as it may', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 40 }), async (actions) => {
      const world = await World.create(broker);
      try {
        for (const step of actions) await world.perform(step);
        await world.settle();
        const violations = world.violations();
        assert.deepEqual(violations, []);
      } finally {
        await world.tearDown();
      }
    }),
    { numRuns, endOnFailure: false, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false },
  );
});
