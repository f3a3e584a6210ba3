import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { systemClock } from '../../src/clock.js';
import { WebSocketStream } from '../../src/web/websocket-stream.js';
import { eventually } from '../support/deadline.js';

/** A binary frame as a client sends it; masked with 0, which changes nothing. */
function frame(payload: Buffer): Buffer {
  const header = Buffer.from([0x82, 0x80 | 126, payload.length >> 8, payload.length & 255, 0, 0, 0, 0]);
  return Buffer.concat([header, payload]);
}

test('whoever does not read is sent no more than there is room for, and loses nothing of it', {
  timeout: 20_000,
}, async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const client = connect((server.address() as { port: number }).port, '127.0.0.1');
  const [socket] = (await once(server, 'connection')) as [Socket];
  const stream = new WebSocketStream(socket, Buffer.alloc(0), systemClock);
  t.after(() => {
    stream.destroy();
    client.destroy();
  });
  const sent = Array.from({ length: 400 }, (_, i) => Buffer.alloc(10_000 + i, i));
  for (const payload of sent) client.write(frame(payload));
  await eventually(5_000, 'the socket is stopped', () => stream.readableLength >= 65_536 && socket.isPaused());
  assert.ok(stream.readableLength < 262_144, `${stream.readableLength} bytes`);
  const came: Buffer[] = [];
  const expected = Buffer.concat(sent);
  let bytes = 0;
  for await (const chunk of stream) {
    came.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes >= expected.length) break;
  }
  assert.ok(Buffer.concat(came).equals(expected));
});
