import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { useTestBroker } from '../support/test-broker.js';
import { type Action, World } from './model-world.js';

const subscriber = fc.nat({ max: 1 });
const publisher = fc.nat({ max: 1 });
const qos = fc.nat({ max: 2 });
const leaf = fc.constantFrom('a', 'b', 'c/d');
const filter = fc.constantFrom('#', '+', 'a', 'b', 'c/#', 'c/+');

/** What a client of MQTT 5 may ask for. */
const options = fc.record({
  asPublished: fc.boolean(),
  handling: fc.nat({ max: 2 }),
  identifier: fc.constantFrom(null, 1, 2, 300),
});
/** In which version a subscriber comes back. */
const as = fc.oneof(
  fc.constantFrom({ level: 3 as const }, { level: 4 as const }),
  fc.record({
    level: fc.constant(5 as const),
    receiveMaximum: fc.constantFrom(1, 3, 65_535),
    topicAliasMaximum: fc.constantFrom(0, 2, 10),
  }),
);

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('publish' as const), publisher, leaf, qos, retain: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('burst' as const), publisher, leaf, qos }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('interrupted' as const), publisher, leaf, qos }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('subscribe' as const), subscriber, filter, qos, options }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unsubscribe' as const), subscriber, filter }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('connect' as const), subscriber, as }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('disconnect' as const), subscriber }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut' as const), subscriber }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('acknowledge' as const, 'acknowledge' as const, 'acknowledge' as const, 'refuse' as const),
      subscriber,
      count: fc.integer({ min: 1, max: 9 }),
    }),
  },
);

/** Sequences that failed once, made small. */
const examples: Action[][] = [
  // Seed 545564259: a restart while a retained message waits behind a full window.
  [
    { kind: 'publish', publisher: 0, leaf: 'a', qos: 1, retain: true },
    { kind: 'subscribe', subscriber: 0, filter: '#', qos: 1 },
    { kind: 'burst', publisher: 0, leaf: 'a', qos: 1 },
    { kind: 'subscribe', subscriber: 0, filter: '#', qos: 1 },
    { kind: 'burst', publisher: 0, leaf: 'a', qos: 1 },
    { kind: 'restart' },
  ],
  // A restart while a retained message is in flight and others wait behind it: it comes again first, and with DUP.
  [
    { kind: 'publish', publisher: 0, leaf: 'a', qos: 1, retain: true },
    { kind: 'subscribe', subscriber: 0, filter: 'b', qos: 1 },
    { kind: 'burst', publisher: 0, leaf: 'b', qos: 1 },
    { kind: 'subscribe', subscriber: 0, filter: 'a', qos: 1 },
    { kind: 'burst', publisher: 0, leaf: 'b', qos: 1 },
    { kind: 'acknowledge', subscriber: 0, count: 6 },
    { kind: 'restart' },
  ],
  // Seed 1: the connection is cut just as a message leaves that waited for the disk. It comes again with DUP.
  [
    { kind: 'subscribe', subscriber: 1, filter: 'b', qos: 2 },
    { kind: 'interrupted', publisher: 1, leaf: 'b', qos: 2 },
    { kind: 'cut', subscriber: 1 },
    { kind: 'connect', subscriber: 1 },
    { kind: 'publish', publisher: 0, leaf: 'b', qos: 2, retain: true },
    { kind: 'subscribe', subscriber: 1, filter: 'b', qos: 2 },
    { kind: 'cut', subscriber: 1 },
  ],
];

/** A test: the examples, and so many sequences at random. */
export function holdsForModel(randomRuns: number): void {
  const broker = useTestBroker({ store: 'folder' });

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
      // The limit is for making a failure small: without one, all runs are done well before it.
      {
        numRuns: examples.length + randomRuns,
        examples: examples.map((actions) => [actions]),
        interruptAfterTimeLimit: 200_000,
        includeErrorInReport: true,
      },
    );
  });
}
