import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.js';

/** How long a closed connection may take to deliver its last bytes before its socket is destroyed. */
const LINGER_MS = 2_000;

/**
 * What still comes in is read and dropped, so that the peer gets an orderly end and not a reset that would take our last
 * bytes with it.
 */
export function readUntilClosed(socket: Duplex, clock: Clock, closed: () => void): void {
  socket.resume();
  const cancel = clock.after(LINGER_MS, () => socket.destroy());
  socket.once('close', () => {
    cancel();
    closed();
  });
}
