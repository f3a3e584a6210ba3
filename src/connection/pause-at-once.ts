import type { Duplex } from 'node:stream';

/** Records that are smaller are copied together while nobody takes them. */
const SMALL_BYTES = 1024;
const GATHERED_BYTES = 4 * 1024;

/** What Node.js keeps behind a socket of the network. */
interface Handle {
  reading?: boolean;
  readStop?(): void;
}

/**
 * Makes `pause` stop the reading of a socket at once. Otherwise it is read on until 64 KiB have gathered that nobody
 * wants yet; and since TLS hands out record by record, and a record may have one byte, those are 65 536 buffers of 300
 * bytes each: sixty connections that sent 27 MB so took half a gigabyte. What one reading had brought already is handed
 * out after `resume`, the smallest of it in larger pieces.
 */
export function pauseAtOnce(socket: Duplex): void {
  const network = socket as Duplex & { _handle?: Handle | null };
  const { push, pause, resume } = socket;
  let gathered: Buffer | null = null;
  let used = 0;
  let stopped = false;

  function settle(): void {
    if (gathered !== null) push.call(socket, gathered.subarray(0, used));
    gathered = null;
    used = 0;
  }

  function gather(chunk: Buffer): void {
    if (gathered !== null && used + chunk.length > gathered.length) settle();
    gathered ??= Buffer.allocUnsafeSlow(GATHERED_BYTES);
    chunk.copy(gathered, used);
    used += chunk.length;
  }

  socket.push = function pushWholly(chunk: Buffer | null, encoding?: BufferEncoding): boolean {
    if (chunk !== null && !socket.isPaused()) return push.call(socket, chunk, encoding);
    if (chunk !== null && chunk.length < SMALL_BYTES) {
      gather(chunk);
      return false;
    }
    settle();
    return push.call(socket, chunk, encoding) && false;
  };
  socket.pause = function pauseWholly() {
    pause.call(socket);
    const { _handle: handle } = network;
    if (handle?.reading && handle.readStop !== undefined) {
      handle.reading = false;
      handle.readStop();
      stopped = true;
    }
    return socket;
  };
  socket.resume = function resumeWholly() {
    settle();
    resume.call(socket);
    if (stopped && !socket.destroyed) {
      stopped = false;
      socket._read(0);
    }
    return socket;
  };
}
