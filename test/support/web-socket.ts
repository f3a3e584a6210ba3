import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { createWebSocketStream, WebSocket } from 'ws';

/** Sizes of the frames that bytes are cut into, over and over: MQTT packets begin and end anywhere [MQTT-6.0.0-2]. */
const frameSizes = [1, 2, 5, 125, 126, 3, 300, 7, 70_000];

/** Over a TLS socket, to /mqtt: a stream whose writes leave in frames of all sizes. */
export function openWebSocket(socket: TLSSocket, subprotocol = 'mqtt'): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const webSocket = new WebSocket('wss://localhost/mqtt', subprotocol, {
      createConnection: () => socket,
      perMessageDeflate: false,
    });
    webSocket.once('error', reject);
    webSocket.once('open', () => {
      webSocket.off('error', reject);
      const stream = createWebSocketStream(webSocket, { allowHalfOpen: true });
      cutWrites(stream);
      resolve(stream);
    });
  });
}

function cutWrites(stream: Duplex): void {
  const write = stream._write;
  let turn = 0;
  stream._write = (chunk: Buffer, encoding, done) => {
    let at = 0;
    const next = (error?: Error | null): void => {
      if (error || at === chunk.length) return void done(error);
      const piece = chunk.subarray(at, at + frameSizes[turn++ % frameSizes.length]!);
      at += piece.length;
      write.call(stream, piece, encoding, next);
    };
    next();
  };
}
