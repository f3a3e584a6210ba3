import type {
  OutgoingRecord,
  RetainedMessage,
  SessionRecord,
  StoredRequest,
  StoredSubscription,
  StoredWill,
  UserRecord,
} from './contract.js';

/** What a line of an export file can be. */
export type TransferLine =
  | { kind: 'iotlab-broker-store'; version: number }
  | ({
      kind: 'session';
      subscriptions: StoredSubscription[];
      requests?: StoredRequest[] | null;
      incoming: number[];
    } & SessionRecord)
  | ({ kind: 'message'; clientId: string } & OutgoingRecord)
  | ({ kind: 'retained' } & RetainedMessage)
  | ({ kind: 'will' } & StoredWill)
  | ({ kind: 'user'; login: string } & UserRecord);

/** Says why a value is not what it should be, or null; and may replace it by what it stands for. */
type Check = (value: unknown) => { value: unknown } | string;

const keep =
  (test: (value: unknown) => boolean, expected: string): Check =>
  (value) =>
    test(value) ? { value } : expected;
const text = keep((value) => typeof value === 'string' && value !== '', 'a string that is not empty');
const flag = keep((value) => typeof value === 'boolean', 'true or false');
const integer = (min: number, max: number): Check =>
  keep(
    (value) => Number.isInteger(value) && Number(value) >= min && Number(value) <= max,
    `an integer from ${min} to ${max}`,
  );
const time = keep((value) => typeof value === 'number' && value >= 0, 'milliseconds since 1970');
const topic = keep(
  (value) => typeof value === 'string' && value !== '' && !/[+#\0]/.test(value) && Buffer.byteLength(value) <= 65_535,
  'a topic without wildcards',
);
const filter = keep(
  (value) => typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= 65_535,
  'a topic filter',
);
const orNull =
  (check: Check): Check =>
  (value) => {
    if (value === null) return { value };
    const checked = check(value);
    return typeof checked === 'string' ? `null or ${checked}` : checked;
  };
/** Not in the files of earlier releases. */
const orMissing =
  (check: Check): Check =>
  (value) =>
    check(value ?? null);
const base64: Check = (value) => {
  const buffer = typeof value === 'string' ? Buffer.from(value, 'base64') : null;
  return buffer?.toString('base64') === value ? { value: buffer } : 'base64';
};
const listOf =
  (check: Check): Check =>
  (value) => {
    if (!Array.isArray(value)) return 'a list';
    const items: unknown[] = [];
    for (const [index, item] of value.entries()) {
      const checked = check(item);
      if (typeof checked === 'string') return `a list, and item ${index} in it ${checked}`;
      items.push(checked.value);
    }
    return { value: items };
  };
const object =
  (fields: ReadonlyMap<string, Check>): Check =>
  (value) => {
    const given = new Map(Object.entries(value as object));
    const result: Record<string, unknown> = {};
    for (const [name, check] of fields) {
      const checked = check(given.get(name));
      if (typeof checked === 'string') return `an object whose "${name}" is ${checked}`;
      result[name] = checked.value;
    }
    for (const name of given.keys()) if (!fields.has(name)) return `an object without "${name}"`;
    return { value: result };
  };

const fieldsOf = (fields: Record<string, Check>) => new Map(Object.entries(fields));
/** A field that may be missing. */
const optional =
  (check: Check): Check =>
  (value) =>
    value === undefined ? { value } : check(value);
const numbers: Check = (value) =>
  typeof value === 'object' && value !== null && Object.values(value).every((each) => typeof each === 'number')
    ? { value }
    : 'an object of numbers';
const override = object(
  fieldsOf({ limits: numbers, since: time, until: orNull(time), reason: keep((it) => typeof it === 'string', 'text') }),
);
const qos = integer(0, 2);
const packetId = integer(1, 65_535);
const seconds = integer(0, 0xffff_ffff);
const identifier = integer(1, 268_435_455);
const seq = integer(0, Number.MAX_SAFE_INTEGER);
const clientId = keep((value) => typeof value === 'string' && /^[^/]+\//.test(value), 'login/id');

const subscription = object(fieldsOf({ filter, qos, options: integer(0, 255), identifier: orNull(identifier) }));
const message = { payload: base64, properties: orNull(base64), retain: flag };
const expiresAt = orMissing(orNull(time));

const request = object(
  fieldsOf({
    ...{ place: seq, last: seq, filter, qos: integer(0, 2), identifier: orNull(identifier), askedAt: time },
    ...{ next: seq, after: keep((value) => typeof value === 'string', 'a topic') },
  }),
);

/** The fields of each kind of line. */
const kinds = new Map<unknown, ReadonlyMap<string, Check>>([
  ['iotlab-broker-store', fieldsOf({ version: integer(0, Number.MAX_SAFE_INTEGER) })],
  [
    'session',
    fieldsOf({
      ...{ clientId, login: text, protocol: integer(3, 5), createdAt: time, lastSeenAt: time, expiresAt: orNull(time) },
      ...{ expiryMs: orMissing(orNull(time)), sentSeq: orMissing(orNull(seq)) },
      ...{ subscriptions: listOf(subscription), incoming: listOf(packetId) },
      ...{ requests: orMissing(orNull(listOf(request))) },
    }),
  ],
  [
    'message',
    fieldsOf({
      ...{ clientId, seq, packetId: integer(0, 65_535), qos: integer(1, 2) },
      // A released message has lost its topic: only PUBREL is owed.
      ...{ identifiers: orMissing(orNull(listOf(identifier))), expiresAt },
      ...{ ...message, released: flag, topic: keep((value) => typeof value === 'string', 'a topic') },
    }),
  ],
  [
    'retained',
    fieldsOf({
      topic,
      payload: base64,
      qos,
      properties: orNull(base64),
      expiresAt,
      storedAt: time,
      owner: orMissing(orNull(text)),
    }),
  ],
  [
    'will',
    fieldsOf({
      ...{ ...message, clientId, login: text, topic, qos, delaySeconds: seconds },
      ...{ expirySeconds: orMissing(orNull(seconds)), dueAt: orMissing(orNull(time)) },
    }),
  ],
  ['user', fieldsOf({ login: text, groups: listOf(text), override: optional(override) })],
]);

/** What a line says, with its base64 decoded, or why it cannot be used. */
export function lineSchema(value: unknown): { line: TransferLine; problem: '' } | { line: null; problem: string } {
  if (typeof value !== 'object' || value === null) return { line: null, problem: 'not a JSON object' };
  const { kind, ...fields } = value as Record<string, unknown>;
  const expected = kinds.get(kind);
  if (expected === undefined) return { line: null, problem: `"kind" must be one of ${[...kinds.keys()].join(', ')}` };
  const checked = object(expected)(fields);
  if (typeof checked === 'string') return { line: null, problem: `"${kind}" must be ${checked}` };
  return { line: { kind, ...(checked.value as object) } as TransferLine, problem: '' };
}
