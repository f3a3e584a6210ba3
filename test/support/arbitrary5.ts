import fc from 'fast-check';
import * as mqtt5 from './packets5.js';

/*
 * Packets of MQTT 5 as fast-check makes them up: valid ones, of every kind and with every property that may be there.
 */

const { p } = mqtt5;

/** Any well-formed text: no lonely surrogates, no U+0000. */
export const text = fc.string({ unit: 'grapheme', maxLength: 12 }).filter((value) => !value.includes('\0'));
export const leaf = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
  .filter((value) => !/[\0+#]/.test(value));
export const packetId = fc.integer({ min: 1, max: 65_535 });
const seconds = fc.constantFrom(0, 1, 255, 65_536, 0xffffffff);
const bytes = fc.uint8Array({ maxLength: 40 }).map((value) => Buffer.from(value));

const userProperties = fc.array(
  fc.tuple(text, text).map(([name, value]) => p.userProperty(name, value)),
  { maxLength: 3 },
);

/** Some of the properties, each once, in any order, with User Properties among them. */
function listOf(...arbitraries: readonly fc.Arbitrary<mqtt5.Property>[]): fc.Arbitrary<readonly mqtt5.Property[]> {
  return fc
    .tuple(fc.tuple(...arbitraries.map((each) => fc.option(each, { nil: null }))), userProperties)
    .chain(([ones, users]) => {
      const present = [...ones.filter((each) => each !== null), ...users];
      return fc.shuffledSubarray(present, { minLength: present.length });
    });
}

const ofMessages = [
  fc.constantFrom(0, 1).map((value) => p.payloadFormat(value)),
  seconds.map((value) => p.messageExpiry(value)),
  text.map((value) => p.contentType(value)),
  bytes.map((value) => p.correlationData(value)),
];
const responseTopic = leaf.map((value) => p.responseTopic(`iotlab/alice/${value}`));
const reasons = listOf(text.map((value) => p.reasonString(value)));

export interface AnyPublish {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: number;
  readonly retain: boolean;
  readonly id: number;
  readonly properties: readonly mqtt5.Property[];
}

export const publish: fc.Arbitrary<AnyPublish> = fc.record({
  topic: leaf.map((value) => `iotlab/alice/fuzz/${value}`),
  payload: fc.uint8Array({ maxLength: 300 }).map((value) => Buffer.from(value)),
  qos: fc.nat({ max: 2 }),
  retain: fc.boolean(),
  id: packetId,
  properties: listOf(...ofMessages, responseTopic),
});

export const publishBytes = (
  { topic, payload, qos, retain, id, properties }: AnyPublish,
  ...more: readonly mqtt5.Property[]
): Buffer =>
  mqtt5.publish(topic, payload, { qos, retain, properties: [...more, ...properties], ...(qos > 0 ? { id } : {}) });

const filters = fc.array(
  fc.tuple(
    leaf.map((value) => `iotlab/alice/fuzz/${value}`),
    fc.record({ qos: fc.nat({ max: 2 }), flags: fc.nat({ max: 3 }), handling: fc.nat({ max: 2 }) }),
  ),
  { minLength: 1, maxLength: 4 },
);

export const subscribe = fc
  .tuple(packetId, filters, listOf(fc.constantFrom(1, 127, 128, 268_435_455).map(p.subscriptionIdentifier)))
  .map(([id, asked, properties]) => {
    const subscriptions = asked.map(
      ([filter, { qos, flags, handling }]) => [filter, qos | (flags << 2) | (handling << 4)] as const,
    );
    return { id, subscriptions, bytes: mqtt5.subscribe(id, subscriptions, properties) };
  });

export const unsubscribe = fc.tuple(packetId, filters, userProperties).map(([id, asked, properties]) => {
  const names = asked.map(([filter]) => filter);
  return { id, filters: names, bytes: mqtt5.unsubscribe(id, names, properties) };
});

const acknowledgement = fc
  .tuple(
    fc.constantFrom(mqtt5.puback, mqtt5.pubrec, mqtt5.pubrel, mqtt5.pubcomp),
    packetId,
    fc.constantFrom(undefined, 0),
    fc.option(reasons, { nil: undefined }),
  )
  .map(([packet, id, code, properties]) => packet(id, code, code === undefined ? undefined : properties));

const disconnect = fc
  .tuple(fc.constantFrom(0, 4, 0x80), listOf(seconds.map(p.sessionExpiry), text.map(p.reasonString)))
  .map(([code, properties]) => mqtt5.disconnect(code, properties));

export const connect = fc
  .record({
    clientId: text,
    cleanStart: fc.boolean(),
    keepaliveSeconds: fc.nat({ max: 65_535 }),
    login: text,
    password: text,
    properties: listOf(
      seconds.map(p.sessionExpiry),
      packetId.map(p.receiveMaximum),
      fc.constantFrom(100, 1_000_000).map(p.maximumPacketSize),
      fc.nat({ max: 65_535 }).map(p.topicAliasMaximum),
      fc.nat({ max: 1 }).map(p.requestProblemInformation),
      fc.nat({ max: 1 }).map(p.requestResponseInformation),
    ),
    will: fc.option(
      fc.record({
        topic: leaf,
        payload: text,
        qos: fc.nat({ max: 2 }),
        retain: fc.boolean(),
        properties: listOf(...ofMessages, responseTopic, seconds.map(p.willDelay)),
      }),
      { nil: undefined },
    ),
  })
  .map((options) => ({ options, bytes: mqtt5.connect(options) }));

/** What a client that is in may send, but for AUTH. */
export const packet: fc.Arbitrary<Buffer> = fc.oneof(
  { weight: 4, arbitrary: publish.map((each) => publishBytes(each)) },
  { weight: 2, arbitrary: subscribe.map(({ bytes: written }) => written) },
  { weight: 1, arbitrary: unsubscribe.map(({ bytes: written }) => written) },
  { weight: 3, arbitrary: acknowledgement },
  { weight: 1, arbitrary: disconnect },
);

/** Changes some bytes of a packet, cuts some out, puts some in. Its length field stays what it was, or is made right. */
export function mangled(arbitrary: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> {
  const change = fc.record({ at: fc.nat(), byte: fc.nat({ max: 255 }), how: fc.constantFrom('set', 'add', 'cut') });
  return fc
    .tuple(arbitrary, fc.array(change, { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(([whole, changes, rightLength]) => {
      const all = [...whole];
      for (const { at, byte, how } of changes) {
        const index = at % Math.max(all.length, 1);
        if (how === 'set') all[index] = byte;
        else if (how === 'add') all.splice(index, 0, byte);
        else all.splice(index, 1);
      }
      if (!rightLength || all.length < 3) return Buffer.from(all);
      const bodyStart = (whole[1]! & 128) === 0 ? 2 : 3;
      const body = all.slice(bodyStart);
      const length = body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7];
      return Buffer.from([all[0]!, ...length, ...body]);
    });
}
