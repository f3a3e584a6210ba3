import { operatorSteps } from './generate-operator.js';
import type {
  ConnectStep,
  Group,
  PacketStep,
  Program,
  PropertyRow,
  PublishStep,
  Qos,
  Step,
  TextRow,
} from './program.js';
import { Random } from './random.js';

// Programs at random, near every limit that a user meets by default. What follows from a seed stays the same for as
// long as nothing is changed here; a program that matters is kept as it is in the corpus.

const connectionsPerUser = 1_000;
const filtersPerSession = 10_000;
const levelsOfTopic = 200;
const topicsOfPublisher = 512;
const clientIdBytes = 1_024;
const fieldBytes = 65_535;
const packetBytes = 16 * 1_024 * 1_024;
/** What a step of a whole group may send: an attacker of low priority must come round to the next one. */
const stepBytes = 200 * 1_024 * 1_024;

/** Below the user's tree: topics and filters are made from the same ones, so that they meet. */
const stems = ['t', '{n}', '{c}', '{c}/{n}', 't/{n}', 't/{r}'] as const;

/** Not what a client may say, or not then: most of it ends the connection. */
const malformed = [
  'f000',
  '8200',
  '3600',
  '300400006161',
  '30050003fffefd',
  '30ffffffff7f',
  '100c00044d5154540402003c0000',
  'c00100',
  '820700010003612f2300',
] as const;
/** What does not end it: acknowledgements of what was never sent. */
const baseless = ['4002ffff', '5002ffff', '6202ffff', '7002ffff'] as const;
/** The beginnings of packets of 8, 16 and 256 MB. */
const beginnings = ['3080808004', '30ffffff07', '30ffffff7f'] as const;

export function generate(seed: string): Program {
  const random = new Random(seed);
  let room = connectionsPerUser + 1;
  const groups: Group[] = [];
  for (let count = random.between(1, 4); count > 0; count -= 1) {
    const connections = Math.min(room, random.chance(0.5) ? random.between(1, 5) : random.near(connectionsPerUser));
    if (connections === 0) break;
    room -= connections;
    groups.push({ connections, atOnce: random.pick([10, 20, 50]), steps: steps(random, connections) });
  }
  const seconds = random.between(3, 6);
  // By a generator of its own: the rest of the program is the same with and without an operator.
  const operator = operatorSteps(new Random(`${seed}:operator`));
  const about = `Generated from the seed ${seed}.`;
  return { name: seed, about, seconds, groups, ...(operator !== null && { operator }) };
}

function steps(random: Random, connections: number): Step[] {
  const mostBytes = stepBytes / connections;
  const before: Step[] = [connect(random)];
  for (let count = random.between(0, 2); count > 0; count -= 1) before.push(packet(random, mostBytes));
  if (random.chance(0.5)) before.push({ do: 'answers', withinMs: 5_000 });
  if (random.chance(0.6)) before.push({ do: 'meet', at: 'ready' });
  const body: Step[] = [];
  for (let count = random.between(1, 4); count > 0; count -= 1) body.push(step(random, mostBytes));
  // A loop of nothing but waiting would be no attack.
  if (!body.some((it) => 'filters' in it || 'topics' in it)) body.push(packet(random, mostBytes));
  if (random.chance(0.15)) return [...before, ...body];
  // Who is thrown out, or goes, comes back.
  if (body.some(isAnEnd) || random.chance(0.1)) body.unshift(connect(random));
  return [...before, { do: 'repeat', times: 1_000_000, steps: body }];
}

const isAnEnd = (it: Step): boolean =>
  ['disconnect', 'cut', 'part'].includes(it.do) || (it.do === 'raw' && it.times === undefined);

function step(random: Random, mostBytes: number): Step {
  const kind = random.between(1, 25);
  if (kind <= 12) return packet(random, mostBytes);
  if (kind === 13) return { do: 'part', of: packet(random, mostBytes), keep: random.between(1, 99) / 100 };
  if (kind === 14) return { do: 'reading', on: random.chance(0.3) };
  if (kind <= 16) return { do: 'answers', withinMs: 5_000 };
  if (kind === 17) return { do: 'wait', ms: random.near(1_000) };
  if (kind === 18) return { do: 'messages', count: random.near(1_000), withinMs: 2_000 };
  if (kind === 19) return { do: 'raw', hex: random.pick(beginnings) };
  if (kind === 20) return { do: 'raw', hex: random.chance(0.3) ? noise(random) : random.pick(malformed) };
  if (kind === 21) return { do: 'dribble', of: packet(random, mostBytes), bytes: random.near(1_000) };
  if (kind === 22) return { do: 'abandon', ms: random.near(200) };
  if (kind === 23) return knock(random);
  return { do: random.pick(['disconnect', 'cut']) };
}

function knock(random: Random): Step {
  const hex = random.pick(['', '16', '16030100', '1603010200010001fc0303', '47455420', noise(random)]);
  return { do: 'knock', hex, ms: random.near(1_000), ...(random.chance(0.5) ? { at: 'admin' } : {}) };
}

function connect(random: Random): ConnectStep {
  const clean = random.chance(0.65);
  return {
    do: 'connect',
    ...versionOf(random),
    ...(clean ? {} : { clean: false }),
    // The same one for all is a takeover, again and again.
    ...(random.chance(0.5) ? { id: clientId(random) } : {}),
    ...(random.chance(0.2) ? { keepaliveSeconds: random.pick([1, 2, 60]) } : {}),
    ...(random.chance(0.3) ? { will: will(random) } : {}),
    ...(random.chance(0.05) ? { login: random.pick(['ghost{c}', 'ghost{r}', 'alice', '']) } : {}),
    ...(random.chance(0.1) ? { acknowledges: false } : {}),
    ...(random.chance(0.1) ? { releases: false } : {}),
    ...(random.chance(0.1) ? { hoards: true } : {}),
  };
}

/** Half of them speak MQTT 5, with properties near their limits. */
function versionOf(random: Random): Pick<ConnectStep, 'level' | 'properties'> {
  if (random.chance(0.2)) return { level: 3 };
  if (random.chance(0.4)) return {};
  const properties: PropertyRow[] = [];
  if (random.chance(0.5)) properties.push({ id: 17, number: random.pick([0, 1, 3_600, 0xffffffff]) });
  if (random.chance(0.3)) properties.push({ id: 33, number: Math.min(random.near(20), 65_535) });
  if (random.chance(0.2)) properties.push({ id: 39, number: random.near(10_000) });
  if (random.chance(0.3)) properties.push({ id: 34, number: Math.min(random.near(64), 65_535) });
  if (random.chance(0.1)) properties.push({ id: 23, number: 0 });
  if (random.chance(0.2)) properties.push({ id: 38, bytes: random.near(1_000), count: random.near(20) });
  return { level: 5, properties };
}

/** Of a SUBSCRIBE. */
function optionsOf(random: Random): { options?: number; properties?: PropertyRow[] } {
  if (random.chance(0.6)) return {};
  return {
    options: random.pick([0, 4, 8, 12, 16, 32, 48, 64]),
    ...(random.chance(0.5) ? { properties: [{ id: 11, number: random.pick([0, 1, 268_435_455]) }] } : {}),
  };
}

/** Of a PUBLISH. */
function propertiesOf(random: Random): { properties?: PropertyRow[] } {
  if (random.chance(0.5)) return {};
  const properties: PropertyRow[] = [];
  if (random.chance(0.4)) properties.push({ id: 2, number: random.pick([0, 1, 60]) });
  if (random.chance(0.3)) properties.push({ id: 35, number: Math.min(random.near(64), 65_535) });
  if (random.chance(0.3)) properties.push({ id: 9, bytes: Math.min(random.near(fieldBytes), fieldBytes) });
  if (random.chance(0.5)) properties.push({ id: 38, bytes: random.near(100), count: random.near(100) });
  if (random.chance(0.05)) properties.push({ id: 11, number: 1 });
  return { properties };
}

const clientId = (random: Random): TextRow => ({
  text: random.pick(['a', '{c}', '{c}', '{c}', 'a{c%20}', '{c}-{r}']),
  ...(random.chance(0.3) ? { bytes: random.near(clientIdBytes), pad: random.pick(['x', '/', '\u00e9']) } : {}),
});

function will(random: Random): NonNullable<ConnectStep['will']> {
  const topic = `iotlab/{user}/${random.pick(stems)}`;
  return { topic, bytes: random.near(fieldBytes), qos: qos(random), retain: random.chance(0.3) };
}

/** What does not end the connection, or should not. */
function packet(random: Random, mostBytes: number): PacketStep {
  const kind = random.between(1, 18);
  if (kind <= 7) return publish(random, mostBytes);
  if (kind <= 12) return { do: 'subscribe', ...filters(random, mostBytes), qos: qos(random), ...optionsOf(random) };
  if (kind <= 14) return { do: 'unsubscribe', ...filters(random, mostBytes) };
  if (kind <= 16) return { do: 'ping', count: random.near(8_192) };
  return { do: 'raw', hex: random.pick(baseless), times: random.near(10_000) };
}

const qos = (random: Random): Qos => random.pick([0, 0, 1, 1, 2]);

function noise(random: Random): string {
  return Array.from({ length: random.near(256) }, () => random.between(0, 255).toString(16).padStart(2, '0')).join('');
}

function publish(random: Random, mostBytes: number): PublishStep {
  const text = random.chance(0.05) ? 'iotlab/alice/node/m3-1/out' : `iotlab/{user}/${random.pick(stems)}`;
  const row = shape(random, text, topicsOfPublisher);
  const bytes = Math.floor(
    Math.min(random.near(random.pick([1, 100, 10_000, 65_536, 1_048_576, packetBytes])), mostBytes),
  );
  const count = Math.max(1, Math.min(row.count ?? 1, Math.floor(mostBytes / (bytes + bytesOf(row)))));
  return {
    do: 'publish',
    topics: { ...row, count },
    bytes,
    qos: qos(random),
    ...(random.chance(0.3) ? { retain: true } : {}),
    ...(bytes * count < 1_048_576 ? propertiesOf(random) : {}),
  };
}

function filters(random: Random, mostBytes: number): { filters: TextRow; perPacket?: number } {
  const own = `iotlab/{user}/${random.pick([...stems, '#', '+/{n}', '+/{n}/#', '{n}/+/x'])}`;
  const foreign = random.pick(['#', '+/{n}/#', 'iotlab/alice/#', 'iotlab/{user}/#/x', '']);
  const wanted = random.chance(0.85) ? own : foreign;
  const text = random.chance(0.15) ? `$share/g{${random.pick(['n', 'c'])}%20}/${wanted}` : wanted;
  const row = shape(random, text, filtersPerSession);
  const count = Math.max(1, Math.min(row.count ?? 1, Math.floor(Math.min(mostBytes, 2_000_000) / bytesOf(row))));
  return { filters: { ...row, count }, ...(random.chance(0.3) ? { perPacket: random.near(count) } : {}) };
}

/** How many, how deep, how long. What ends in `#` stays as it is: there is nothing behind that. */
function shape(random: Random, text: string, most: number): TextRow {
  const count = random.chance(0.3) ? 1 : random.near(most);
  if (text.endsWith('#') || random.chance(0.5)) return { text, count };
  if (random.chance(0.5)) return { text, count, bytes: random.near(1_000), pad: random.pick(['x', '/', '\ufffd']) };
  const level = random.pick(['x', '+', '']);
  return { text, count, levels: random.near(levelsOfTopic), level, ...(random.chance(0.5) ? { tail: '{n}' } : {}) };
}

/** Of one text of the row, about. */
const bytesOf = ({ text, bytes = 0, levels = 0 }: TextRow): number => Math.max(text.length + 10, bytes, 2 * levels);
