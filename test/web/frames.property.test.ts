import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CLOSE, FrameDecoder, PING, WebSocketViolation } from '../../src/web/websocket-frames.js';

interface Frame {
  readonly opcode: number;
  readonly final: boolean;
  readonly mask: Uint8Array;
  readonly payload: Uint8Array;
}

/** As a client sends it, with the length in as many bytes as it takes. */
function encode({ opcode, final, mask, payload }: Frame): Buffer {
  const { length } = payload;
  const header = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  header[0] = (final ? 128 : 0) | opcode;
  header[1] = 128 | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (header.length === 4) header.writeUInt16BE(length, 2);
  if (header.length === 10) header.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([header, mask, payload.map((byte, i) => byte ^ mask[i & 3]!)]);
}

const mask = fc.uint8Array({ minLength: 4, maxLength: 4 });
const payload = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.integer({ min: 120, max: 70_000 }).map((length) => new Uint8Array(length).map((_, i) => (i * 31) & 255)),
);
const ping = fc.record({ mask, payload: fc.uint8Array({ maxLength: 125 }) });
/** A message, in one frame or several, each perhaps with a ping before it. */
const message = fc.array(fc.record({ mask, payload, ping: fc.option(ping, { nil: undefined }) }), {
  minLength: 1,
  maxLength: 4,
});
/** Where the bytes are cut. */
const cuts = fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1, maxLength: 12 });

function decode(bytes: Buffer, sizes: readonly number[]) {
  const pings: string[] = [];
  const decoder = new FrameDecoder({ pinged: (it) => pings.push(it.toString('hex')), idle() {} });
  const data: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    data.push(Buffer.from(decoder.read(Buffer.from(bytes.subarray(at, at + size)))));
    at += size;
  }
  return { data: Buffer.concat(data), pings, closed: decoder.closed };
}

test('[MQTT-6.0.0-2] whatever frames there are and wherever they are cut, the data is what was sent', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 5 }), cuts, fc.boolean(), (messages, sizes, closes) => {
      const frames: Frame[] = [];
      for (const pieces of messages) {
        for (const [i, piece] of pieces.entries()) {
          if (piece.ping) frames.push({ opcode: PING, final: true, ...piece.ping });
          frames.push({ opcode: i === 0 ? 2 : 0, final: i === pieces.length - 1, ...piece });
        }
      }
      const close = { opcode: CLOSE, final: true, mask: new Uint8Array(4), payload: new Uint8Array([3, 232]) };
      const after: Frame[] = closes ? [close, { ...close, opcode: 2 }] : [];
      const bytes = Buffer.concat([...frames, ...after].map(encode));
      const wanted = frames.filter(({ opcode }) => opcode < CLOSE).map((frame) => frame.payload);
      const { data, pings, closed } = decode(bytes, sizes);
      assert.ok(data.equals(Buffer.concat(wanted)));
      assert.deepEqual(
        pings,
        frames.filter(({ opcode }) => opcode === PING).map((frame) => Buffer.from(frame.payload).toString('hex')),
      );
      assert.equal(closed, closes);
    }),
    { numRuns: 200 },
  );
});

test('whatever bytes come, they are data or a violation', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), cuts, (bytes, sizes) => {
      try {
        assert.ok(decode(Buffer.from(bytes), sizes).data.length <= bytes.length);
      } catch (error) {
        assert.ok(error instanceof WebSocketViolation);
      }
    }),
    { numRuns: 2_000 },
  );
});
