import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { packageFolder } from '../../src/config/package-folder.js';
import type { FrameHandler, FrameSource } from '../../src/connection/frame-handler.js';
import { FrameReader } from '../../src/connection/frame-reader.js';
import { networkAccount, newScheduler } from '../support/accounts.js';

const LARGEST_FRAME = 4_096;

interface Outcome {
  readonly frames: string[];
  readonly failure: string | null;
}

/** What the frames of a byte stream are, read the slow and obvious way. */
function reference(bytes: Buffer): Outcome {
  const frames: string[] = [];
  let rest = bytes;
  while (rest.length > 0) {
    let length = 0;
    let size = 1;
    for (;;) {
      if (size > 4) return { frames, failure: 'MQTT-2.2.3' };
      const byte = rest[size];
      if (byte === undefined) return { frames, failure: null };
      length += (byte & 127) * 128 ** (size - 1);
      size++;
      if (byte < 128) break;
    }
    const end = size + length;
    if (end > LARGEST_FRAME) return { frames, failure: 'too-large' };
    if (end > rest.length) return { frames, failure: null };
    frames.push(rest.subarray(0, end).toString('hex'));
    rest = rest.subarray(end);
  }
  return { frames, failure: null };
}

/** The same through FrameReader, in the given pieces; `halts` says after which frames it has to wait a turn. */
function scanned(pieces: readonly Buffer[], halts: ReadonlySet<number>): Outcome {
  const frames: string[] = [];
  let failure: string | null = null;
  const socket = new Readable({ read() {} });
  const handler: FrameHandler = {
    account: networkAccount(),
    largestFrame: LARGEST_FRAME,
    handle(chunk, start, bodyStart, end) {
      assert.ok(bodyStart > start && bodyStart <= end && end <= chunk.length);
      frames.push(chunk.toString('hex', start, end));
      if (halts.has(frames.length)) reader.halt();
      return 1;
    },
  };
  const source: FrameSource = {
    get closed() {
      return failure !== null;
    },
    ended() {},
    failed(error) {
      failure = (error as { tag?: string }).tag ?? String(error);
    },
  };
  const reader = new FrameReader(socket, newScheduler(), source, handler);
  for (const piece of pieces) {
    reader.read(piece);
    reader.resume();
  }
  while (reader.waiting && failure === null) {
    reader.resume();
    reader.work();
  }
  return { frames, failure };
}

/** Cuts `bytes` at the given places, whatever they are. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((start, index) => bytes.subarray(start, at[index] ?? bytes.length)).filter((p) => p.length > 0);
}

const frame = fc
  .tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 300 }))
  .map(([head, body]) =>
    Buffer.from([
      head,
      ...(body.length < 128 ? [body.length] : [(body.length & 127) | 128, body.length >> 7]),
      ...body,
    ]),
  );
const noise = fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes));
const stream = fc
  .array(fc.oneof({ weight: 5, arbitrary: frame }, { weight: 1, arbitrary: noise }), { maxLength: 12 })
  .map((parts) => Buffer.concat(parts));

test('frames are the same however the bytes are cut and whenever they must wait', () => {
  fc.assert(
    fc.property(
      stream,
      fc.array(fc.nat(), { maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 4 }),
      (bytes, places, halts) => {
        assert.deepEqual(scanned(cut(bytes, places), new Set(halts)), reference(bytes));
      },
    ),
    { numRuns: 3_000 },
  );
});

test('the corpus: byte streams that are or were hard to cut', () => {
  const folder = `${packageFolder()}/test/connection/corpus`;
  const files = readdirSync(folder).filter((file) => file.endsWith('.hex'));
  assert.ok(files.length >= 8, 'the corpus is there');
  for (const file of files) {
    const bytes = Buffer.from(readFileSync(`${folder}/${file}`, 'latin1').replace(/#.*|\s/g, ''), 'hex');
    const expected = reference(bytes);
    assert.deepEqual(scanned([bytes], new Set()), expected, `${file}, in one piece`);
    const single = [...bytes].map((byte) => Buffer.from([byte]));
    assert.deepEqual(scanned(single, new Set([1, 2])), expected, `${file}, byte by byte`);
  }
});

test('a length field alone makes no memory grow: the frame is refused before its bytes are kept', () => {
  // 268 435 455 bytes are announced and one follows.
  assert.deepEqual(scanned([Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f, 0])], new Set()), {
    frames: [],
    failure: 'too-large',
  });
});
