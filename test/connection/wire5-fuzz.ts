import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeConnect5 } from '../../src/connection/connect5.js';
import { type FrameHeader, readFrameHeader } from '../../src/connection/frames.js';
import { ProtocolError } from '../../src/connection/protocol-error.js';
import type { Reading } from '../../src/connection/wire.js';
import { Wire5 } from '../../src/connection/wire5.js';
import * as any5 from '../support/arbitrary5.js';
import * as mqtt5 from '../support/packets5.js';

// The reading of MQTT 5: whatever comes is either what was written, or a ProtocolError; and nothing but the bytes of the
// packet has a say in it.
const { p } = mqtt5;

const newWire = () =>
  new Wire5(
    { receiveMaximum: 65_535, maximumPacketSize: 1_000_000, topicAliasMaximum: 0, wantsProblems: true },
    { receiveMaximum: 65_535, packetBytes: 1_000_000, topicAliasMaximum: 64 },
    () => 0,
  );

function finished<T>(reading: Reading<T>): T {
  for (;;) {
    const step = reading.next();
    if (step.done === true) return step.value;
  }
}

/** The packet among other bytes, as it is found in what a socket has brought. */
interface Found {
  readonly chunk: Buffer;
  readonly start: number;
  readonly bodyStart: number;
  readonly end: number;
}
function among(packet: Buffer, before: number, fill: number): Found | null {
  const chunk = Buffer.concat([Buffer.alloc(before, fill), packet, Buffer.alloc(70_000, fill)]);
  const header: FrameHeader = { bodyStart: 0, end: 0 };
  const bodyStart = readFrameHeader(chunk, before, before + packet.length, header);
  return bodyStart < 0 || header.end !== before + packet.length
    ? null
    : { chunk, start: before, bodyStart, end: header.end };
}

/** What the packet is read as, without a trace of where it stood. */
function readOf(wire: Wire5, { chunk, start, bodyStart, end }: Found): unknown {
  const type = chunk[start]! >> 4;
  if (type === 3) {
    const head = wire.readPublish(chunk, start, bodyStart, end);
    const { chunk: of, topicStart, topicEnd, payloadStart, end: payloadEnd, properties, ...more } = head;
    if (of === chunk) assert.ok(topicStart >= bodyStart && topicEnd <= payloadStart && payloadEnd === end);
    assert.ok(payloadStart <= payloadEnd);
    return {
      ...more,
      topic: of.toString('latin1', topicStart, topicEnd),
      payload: of.toString('latin1', payloadStart, payloadEnd),
      properties: properties?.toString('latin1') ?? null,
    };
  }
  if (type >= 4 && type <= 7) return { ...wire.readAcknowledgement(chunk, start, bodyStart, end) };
  if (type === 8) return finished(wire.readSubscribe(chunk, start, bodyStart, end, 100));
  if (type === 10) return finished(wire.readUnsubscribe(chunk, start, bodyStart, end, 100));
  if (type === 14) return wire.readDisconnect(chunk, start, bodyStart, end);
  if (type === 1) {
    const { request, settings } = decodeConnect5(Buffer.from(chunk.subarray(start, end)), bodyStart - start);
    return { request: { ...request, password: request.password?.toString('latin1') }, settings };
  }
  wire.checkEmpty(chunk, start, bodyStart, end);
  return type;
}

function outcome(packet: Buffer, before: number, fill: number): unknown {
  try {
    const found = among(packet, before, fill);
    return found === null ? 'no packet' : readOf(newWire(), found);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    assert.ok(error.reason >= 0x80);
    return `${error.reason}: ${error.message}`;
  }
}

/** Tests: `share` of the random packets that the long ones try. */
export function wire5Fuzz(share: number): void {
  test('a PUBLISH is read as it was written', () => {
    fc.assert(
      fc.property(any5.publish, fc.nat({ max: 9 }), (message, before) => {
        const { topic, payload, qos, retain, id, properties } = message;
        const isKept = ([identifier]: mqtt5.Property) => identifier !== 0x02;
        const kept = mqtt5.properties(properties.filter(isKept));
        const forwarded = kept.subarray(kept[0]! > 127 ? 2 : 1).toString('latin1');
        const expiry = properties.find((property) => !isKept(property));
        const response = properties.find(([identifier]) => identifier === 0x08);
        assert.deepEqual(outcome(any5.publishBytes(message), before, 0), {
          ...{ qos, retain, packetId: qos > 0 ? id : 0 },
          topic: Buffer.from(topic).toString('latin1'),
          payload: payload.toString('latin1'),
          properties: forwarded === '' ? null : forwarded,
          whole: expiry === undefined,
          expirySeconds: expiry === undefined ? -1 : Buffer.from(expiry[1]).readUInt32BE(),
          responseTopic: response === undefined ? null : Buffer.from(response[1]).toString('utf8', 2),
        });
      }),
      { numRuns: 2_000 * share },
    );
  });

  test('by an alias it is read as with its topic', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(any5.publish, fc.integer({ min: 1, max: 4 })), { maxLength: 12 }), (messages) => {
        const wire = newWire();
        const known = new Map<number, string>();
        for (const [message, alias] of messages) {
          const again = known.get(alias) === message.topic;
          known.set(alias, message.topic);
          const packets = [any5.publishBytes(again ? { ...message, topic: '' } : message, p.topicAlias(alias))];
          packets.push(any5.publishBytes({ ...message, topic: '' }, p.topicAlias(alias)));
          const plain = readOf(newWire(), among(any5.publishBytes(message), 0, 0)!) as object;
          for (const packet of packets) {
            assert.deepEqual(readOf(wire, among(packet, 3, 0xaa)!), { ...plain, whole: false });
          }
        }
      }),
      { numRuns: 300 * share },
    );
  });

  test('SUBSCRIBE and UNSUBSCRIBE are read as they were written', () => {
    fc.assert(
      fc.property(any5.subscribe, any5.unsubscribe, (subscribe, unsubscribe) => {
        const read = outcome(subscribe.bytes, 1, 0xff) as { packetId: number; subscriptions: object[] };
        assert.equal(read.packetId, subscribe.id);
        assert.deepEqual(
          read.subscriptions,
          subscribe.subscriptions.map(([filter, byte]) => ({ filter, qos: byte & 3, options: byte & 0x3c })),
        );
        assert.deepEqual(outcome(unsubscribe.bytes, 1, 0xff), {
          packetId: unsubscribe.id,
          filters: unsubscribe.filters,
        });
      }),
      { numRuns: 2_000 * share },
    );
  });

  test('a CONNECT is read as it was written', () => {
    fc.assert(
      fc.property(any5.connect, ({ options, bytes }) => {
        const { request } = outcome(bytes, 0, 0) as { request: Record<string, unknown> };
        const { clientId, cleanStart, keepaliveSeconds, login, password, will } = options;
        assert.deepEqual(
          [request.clientId, request.clean, request.keepaliveSeconds, request.username, request.password],
          [clientId, cleanStart, keepaliveSeconds, login, Buffer.from(password).toString('latin1')],
        );
        const read = request.will as { topic: string; payload: Buffer; qos: number; retain: boolean } | null;
        if (will === undefined) assert.equal(read, null);
        else {
          assert.deepEqual(
            [read?.topic, read?.payload.toString(), read?.qos, read?.retain],
            [will.topic, will.payload, will.qos, will.retain],
          );
        }
      }),
      { numRuns: 2_000 * share },
    );
  });

  const anyPacket = fc.oneof(
    any5.packet,
    any5.connect.map(({ bytes }) => bytes),
  );
  test('whatever is wrong with a packet is a ProtocolError, and what stands around it has no say', () => {
    let valid = 0;
    fc.assert(
      fc.property(any5.mangled(anyPacket), fc.nat({ max: 9 }), (packet, before) => {
        const read = outcome(packet, 0, 0);
        if (typeof read === 'object') valid++;
        for (const fill of [0x01, 0xff]) assert.deepEqual(outcome(packet, before, fill), read);
      }),
      { numRuns: 3_000 * share },
    );
    assert.ok(valid > 100 * share, `${valid} were still packets`);
  });

  test('nothing but noise behind a first byte is a ProtocolError too', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...[0x10, 0x30, 0x32, 0x34, 0x40, 0x50, 0x62, 0x70, 0x82, 0xa2, 0xc0, 0xe0]),
        fc.uint8Array({ maxLength: 100 }),
        (head, body) => {
          const packet = Buffer.from([head, body.length, ...body]);
          assert.deepEqual(outcome(packet, 5, 0xff), outcome(packet, 0, 0));
        },
      ),
      { numRuns: 3_000 * share },
    );
  });
}
