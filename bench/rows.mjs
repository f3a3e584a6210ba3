// The rows of the table; each says which figure is compared. Those that leave nothing behind in a broker are measured
// again and again on the same one; for the others (`fresh`) it is started anew each time. `floor`: what the floor of
// Node.js can do too.
const load = (name, options) => ({
  name,
  unit: 'µs of CPU per delivery',
  floor: options.clean !== false && options.version === undefined,
  run: ({ measure }) => measure('load', options),
});

/** The same measure while ten other users keep 100 000 things. */
const beside = (name, unit, keeper, work, options) => ({
  name,
  unit,
  fresh: true,
  async run({ measure, keep, users }) {
    const before = await measure(work, options);
    await keep(keeper, { users: users.slice(50, 60), count: 100_000 });
    const after = await measure(work, options);
    return { ...after, alone: before.microseconds };
  },
});

const one = { pairs: 1, fan: 1, qos: 0 };

export const rows = [
  load('QoS 0, 10 users, 1 → 1', { pairs: 10, fan: 1, qos: 0 }),
  load('QoS 1, 10 users, 1 → 1, clean', { pairs: 10, fan: 1, qos: 1 }),
  load('QoS 0, 4 users, 1 → 20', { pairs: 4, fan: 20, qos: 0 }),
  load('QoS 1, 10 users, 1 → 1, persistent, window 20', { pairs: 10, fan: 1, qos: 1, clean: false, window: 20 }),
  load('QoS 1, 4 users, 1 → 20', { pairs: 4, fan: 20, qos: 1 }),
  load('QoS 0, 80 users, 1 → 1, window 20', { pairs: 80, fan: 1, qos: 0, window: 20 }),
  load('QoS 0, 50 users, 1 → 1, one message at a time', { pairs: 50, fan: 1, qos: 0, window: 1 }),
  // What connecting them cost is over when it begins: that is as much as thousands of messages.
  load('QoS 0, 50 users, 1 → 1, 20 messages a second each', {
    ...{ pairs: 50, fan: 1, qos: 0, window: 1, everyMs: 50, warmup: 3 },
  }),
  ...[1_000, 4_000, 10_000].map((size) =>
    load(`QoS 0, 10 users, 1 → 1, ${size} bytes, window 20`, { pairs: 10, fan: 1, qos: 0, window: 20, size }),
  ),
  load('QoS 0, 10 users, 1 → 1, 60000 bytes, window 4', { pairs: 10, fan: 1, qos: 0, window: 4, size: 60_000 }),
  load('QoS 0, 2 users, 1 → 1, 1000000 bytes, window 2', { pairs: 2, fan: 1, qos: 0, window: 2, size: 1_000_000 }),
  load('QoS 0, 10 users, 1 → 1, MQTT 5', { pairs: 10, fan: 1, qos: 0, version: 5 }),
  load('QoS 1, 10 users, 1 → 1, clean, MQTT 5', { pairs: 10, fan: 1, qos: 1, version: 5 }),
  load('QoS 0, 4 users, 1 → 20, MQTT 5', { pairs: 4, fan: 20, qos: 0, version: 5 }),
  load('QoS 1, 10 users, 1 → 1, persistent, window 20, MQTT 5', {
    ...{ pairs: 10, fan: 1, qos: 1, clean: false, window: 20, version: 5 },
  }),
  {
    name: 'connect + authenticate + subscribe',
    unit: 'µs of CPU per connection',
    fresh: true,
    run: ({ measure }) => measure('connections', { warmup: 0, count: 900 }),
  },
  // The first few thousand of a process pay for what V8 makes of the code that they run: 2 s of CPU, once.
  {
    name: 'connect + authenticate + subscribe, after 4 500 others',
    unit: 'µs of CPU per connection',
    fresh: true,
    run: ({ measure }) => measure('connections', { passing: 4_500, count: 900 }),
  },
  {
    name: '2 000 devices connect at once',
    unit: 'µs of CPU per connection',
    fresh: true,
    run: ({ measure }) => measure('connections', { warmup: 0, count: 2_000, lanes: 2_000 }),
  },
  beside('publish beside 100 000 subscriptions', 'µs of CPU per delivery', 'keepSubscriptions', 'load', one),
  beside('publish beside 100 000 retained messages', 'µs of CPU per delivery', 'keepRetained', 'load', one),
  beside('subscribe beside 100 000 subscriptions', 'µs of CPU per SUBSCRIBE', 'keepSubscriptions', 'subscribing', {}),
  beside('subscribe beside 100 000 retained messages', 'µs of CPU per SUBSCRIBE', 'keepRetained', 'subscribing', {}),
];
