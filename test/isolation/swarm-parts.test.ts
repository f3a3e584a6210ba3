import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whyNotAUserLimit } from '../../src/config/limits-schema.js';
import * as mqtt from '../support/packets.js';
import { type Answer, AnswerReader, messageOf } from './swarm/answers.js';
import { generate } from './swarm/generate.js';
import { Meetings } from './swarm/meetings.js';
import { emptyTally, type Program } from './swarm/program.js';
import { shrink } from './swarm/shrink.js';
import { texts } from './swarm/text.js';
import type { Trial } from './swarm/trial.js';
import { verdict } from './swarm/verdict.js';
import type { WatchReport } from './swarm/watcher.js';

const seeds = Array.from({ length: 300 }, (_, index) => `parts:${index}`);

test('a seed always makes the same program, and another one a different one', () => {
  for (const seed of seeds) assert.deepEqual(generate(seed), generate(seed));
  const programs = seeds.map((seed) => JSON.stringify({ ...generate(seed), name: '', about: '' }));
  assert.equal(new Set(programs).size, seeds.length);
});

test('programs are bounded, come near the limits, and survive being written down', () => {
  let most = 0;
  for (const seed of seeds) {
    const program = generate(seed);
    const connections = program.groups.reduce((sum, group) => sum + group.connections, 0);
    assert.ok(connections >= 1 && connections <= 1_001, `${seed}: ${connections} connections`);
    assert.ok(program.seconds <= 6, seed);
    most = Math.max(most, connections);
    assert.deepEqual(JSON.parse(JSON.stringify(program)), program);
  }
  assert.ok(most >= 999);
});

test('in some programs an operator acts, with limits that there are', () => {
  const acting = seeds.map((seed) => generate(seed).operator ?? []).filter((steps) => steps.length > 0);
  assert.ok(acting.length > seeds.length / 5 && acting.length < seeds.length / 2);
  const kinds = new Set(acting.flat().map((step) => step.do));
  assert.deepEqual([...kinds].sort(), ['ban', 'kick', 'limits', 'pause', 'reload', 'unban', 'usual-limits']);
  for (const step of acting.flat()) {
    if (!('limits' in step)) continue;
    assert.ok(Object.keys(step.limits).length > 0);
    for (const [name, value] of Object.entries(step.limits)) assert.equal(whyNotAUserLimit(name, value), null, name);
  }
});

test('the texts of a row', () => {
  const names = { user: 'mallory', c: 21, r: 3 };
  const all = (row: Parameters<typeof texts>[0]) => [...texts(row, names)];
  assert.deepEqual(all('iotlab/{user}/{c}-{r}'), ['iotlab/mallory/21-3']);
  assert.deepEqual(all({ text: '$share/g{c%20}/a{n}', count: 2 }), ['$share/g1/a0', '$share/g1/a1']);
  assert.deepEqual(all({ text: 'a/b', levels: 5, level: '+', tail: 't{n}' }), ['a/b/+/+/t0']);
  assert.deepEqual(all({ text: 'a/b', levels: 4, level: '' }), ['a/b//']);
  assert.deepEqual(all({ text: 'ab', bytes: 9, pad: '\ufffd' }), ['ab\ufffd\ufffd']);
});

test('answers are read alike in whatever pieces they come', () => {
  const stream = Buffer.concat([
    mqtt.packet(0x20, Buffer.from([0, 0])),
    mqtt.publish('iotlab/alice/x', Buffer.alloc(70_000, 'y'), { qos: 1, id: 7 }),
    mqtt.publish('a', ''),
    mqtt.packet(0xd0),
    mqtt.packet(0x90, Buffer.from([0, 1, 0, 0x80])),
  ]);
  const read = (size: number): Answer[] => {
    const reader = new AnswerReader();
    const answers: Answer[] = [];
    for (let at = 0; at < stream.length; at += size) answers.push(...reader.read(stream.subarray(at, at + size)));
    return answers;
  };
  const whole = read(stream.length);
  assert.deepEqual(
    whole.map(({ type, bytes }) => [type, bytes]),
    [
      [mqtt.CONNACK, 2],
      [mqtt.PUBLISH, 70_018],
      [mqtt.PUBLISH, 3],
      [mqtt.PINGRESP, 0],
      [mqtt.SUBACK, 4],
    ],
  );
  assert.deepEqual(whole.map(({ head }) => head)[4], Buffer.from([0, 1, 0, 0x80]));
  const { id, payloadBytes, payload } = messageOf(whole[1]!);
  assert.deepEqual([id, payloadBytes, payload.length], [7, 70_000, 16]);
  for (const size of [1, 2, 3, 7, 1_000, 70_010]) assert.deepEqual(read(size), whole, `in pieces of ${size}`);
});

test('whoever leaves no longer keeps the others waiting', async () => {
  const places = new Meetings();
  const [one, two, three] = [['a'], ['a', 'b'], ['b']].map((names) => places.visit(names));
  const met = one!.arrive('a');
  two!.leave();
  await met;
  await three!.arrive('b');
  await places.allMet;
  assert.notEqual(places.lastAtMs, null);
});

const large: Program = {
  name: 'large',
  about: '',
  seconds: 6,
  groups: [
    {
      connections: 1_000,
      atOnce: 50,
      steps: [
        { do: 'connect', clean: false },
        { do: 'ping', count: 5 },
      ],
    },
    {
      connections: 400,
      steps: [
        { do: 'connect', will: { topic: 'w', bytes: 9 } },
        { do: 'meet', at: 'ready' },
        {
          do: 'repeat',
          times: 1_000_000,
          steps: [
            { do: 'wait', ms: 5 },
            { do: 'subscribe', filters: { text: 'f{n}', count: 8_000, levels: 50 }, qos: 2 },
          ],
        },
      ],
    },
  ],
};

/** Harm is done by three connections or more that each subscribe to a hundred filters or more, once connected. */
function harms({ groups }: Program): boolean {
  return groups.some(({ connections, steps }) => {
    const flat = steps.flatMap((step) => (step.do === 'repeat' ? step.steps : [step]));
    const subscribes = flat.some(
      (step) => step.do === 'subscribe' && typeof step.filters === 'object' && (step.filters.count ?? 1) >= 100,
    );
    return connections >= 3 && steps[0]?.do === 'connect' && subscribes;
  });
}

test('a program is made as small as it can be while it does its harm', async () => {
  const smallest = await shrink(large, async (program) => harms(program), { runs: 1_000, ms: 10_000 });
  assert.deepEqual(smallest, {
    name: 'large',
    about: '',
    seconds: 2,
    groups: [
      { connections: 3, steps: [{ do: 'connect' }, { do: 'subscribe', filters: { text: 'f{n}', count: 125 } }] },
    ],
  });
  assert.equal(large.groups.length, 2, 'the large one is left as it was');
});

test('making smaller ends with its budget', async () => {
  let runs = 0;
  const counted = async (program: Program) => {
    runs += 1;
    return harms(program);
  };
  const smaller = await shrink(large, counted, { runs: 5, ms: 10_000 });
  assert.equal(runs, 5);
  assert.ok(harms(smaller));
  assert.equal(await shrink(large, counted, { runs: 100, ms: 0 }), large);
});

const timing = (p99Ms: number, maxMs: number, rawMaxMs = maxMs) => ({
  ...{ count: 100, p99Ms, maxMs, rawP99Ms: p99Ms, rawMaxMs },
});
const calm: WatchReport = {
  ...{ delivery: timing(2, 5), puback: timing(5, 20), login: timing(9, 9), health: timing(5, 9) },
  ...{ lost: 0, reordered: 0, closed: 0, peakMb: 90, stalledShare: 0 },
};
const quiet: Trial = {
  ...{ program: large, control: calm, watch: calm, operator: null, modest: null, ending: null, restart: null },
  attack: { tally: emptyTally(), setUpMs: 0, attackMs: 0, finished: true },
};
const judged = (trial: Partial<Trial>): string => {
  const { outcome, findings } = verdict({ ...quiet, ...trial });
  return `${outcome}: ${findings.map(({ kind }) => kind).join(', ')}`;
};

test('the verdict names what did not hold', () => {
  assert.equal(judged({}), 'held: ');
  assert.equal(judged({ watch: { ...calm, delivery: timing(51, 60) } }), 'broken: delivery');
  assert.equal(judged({ watch: { ...calm, puback: timing(5, 251) } }), 'broken: puback');
  assert.equal(judged({ watch: { ...calm, login: timing(9, 301) } }), 'broken: login');
  assert.equal(judged({ watch: { ...calm, health: timing(9, 1_001) } }), 'broken: health');
  const operator = { acts: 2, failed: ['DELETE /users/mallory/connections: no answer'], slowestMs: 10_000 };
  assert.equal(judged({ operator }), 'broken: operator');
  assert.equal(
    judged({ watch: { ...calm, lost: 1, reordered: 1, closed: 1 } }),
    'broken: lost, reordered, disconnected',
  );
  assert.equal(judged({ watch: { ...calm, peakMb: 401 } }), 'broken: memory');
  assert.equal(judged({ ending: 'ended with SIGABRT' }), 'broken: died');
  assert.equal(judged({ restart: { startMs: 3_001, peakMb: 401 } }), 'broken: start, start memory');
  assert.equal(judged({ modest: { expects: { granted: 1 }, tally: emptyTally() } }), 'broken: modest');
});

test('a machine that is too busy is not held against the broker', () => {
  const late = { ...calm, delivery: timing(60, 300) };
  assert.equal(judged({ control: late, watch: late }), 'unclear: delivery');
  assert.equal(judged({ control: late, watch: { ...late, peakMb: 500 } }), 'broken: memory, delivery');
  const { outcome, remark } = verdict({ ...quiet, watch: { ...calm, delivery: timing(2, 5, 900) } });
  assert.equal(outcome, 'held');
  assert.match(remark, /no processor/);
});
