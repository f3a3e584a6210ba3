import net from 'node:net';
import tls, { type SecureContext } from 'node:tls';
import type { Target } from './link.js';

/** Of one who comes to the door and does not come in. Resolves when it has left, or was sent away. */
export type Call = (
  target: Target,
  localAddress: string,
  stay: (gone: Promise<void>) => Promise<void>,
) => Promise<void>;

/** Says some bytes in plain TCP. */
export const knock =
  (hex: string, at: 'admin' | undefined): Call =>
  async ({ host, port, adminPort }, localAddress, stay) => {
    const socket = net.connect({ host, port: at === 'admin' ? adminPort : port, localAddress });
    socket.write(Buffer.from(hex, 'hex'));
    await stay(end(socket));
    socket.resetAndDestroy();
  };

/** Begins a TLS handshake: at the latest when the broker's half of it is under way, it is gone. */
export const abandon =
  (context: SecureContext): Call =>
  async ({ host, port }, localAddress, stay) => {
    const socket = net.connect({ host, port, localAddress });
    const gone = end(socket);
    const secure = tls.connect({ socket, servername: 'localhost', secureContext: context });
    secure.on('error', () => {});
    await stay(gone);
    socket.resetAndDestroy();
    secure.destroy();
  };

function end(socket: net.Socket): Promise<void> {
  socket.on('error', () => {});
  socket.resume();
  return new Promise((resolve) => socket.once('close', () => resolve()));
}
