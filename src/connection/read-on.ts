import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.js';

/** How long a socket that can't be written to any more is still read. */
const READ_ON_MS = 2_000;

/**
 * Keeps a socket readable after a write to it failed. A client that sends its messages, DISCONNECT and closes resets the
 * connection as soon as an answer reaches it; Node.js then destroys the socket, and with it what the kernel has received
 * and nobody has read yet. So a failed write ends the writing only: `onWriteFailed` is called, reading goes on to its
 * own end, and only then, or after a deadline, the socket is destroyed.
 */
export function readOnAfterWriteError(socket: Duplex, clock: Clock, onWriteFailed: () => void): void {
  const destroy = socket.destroy;
  let failed = false;
  socket.destroy = function destroyUnlessReadable(error?: Error & { syscall?: string }): Duplex {
    const byWrite = error !== undefined && error !== null && error.syscall === 'write';
    if (!byWrite || socket.readableEnded || socket.destroyed) return destroy.call(socket, error);
    if (failed) return socket;
    failed = true;
    onWriteFailed();
    const cancel = clock.after(READ_ON_MS, () => destroy.call(socket, error));
    socket.once('close', cancel);
    return socket;
  } as typeof socket.destroy;
}
