/** Buffers for what sockets are sent come in two sizes, and a few of each are kept: one is needed for every write. */
export const SMALL_BYTES = 4 * 1024;
export const LARGE_BYTES = 64 * 1024;
const POOLED_BUFFERS = 64;

const smallPool: Buffer[] = [];
const largePool: Buffer[] = [];

/** A buffer of at least `bytes`, perhaps with what it held before. */
export function takeBuffer(bytes: number): Buffer {
  if (bytes <= SMALL_BYTES) return smallPool.pop() ?? Buffer.allocUnsafeSlow(SMALL_BYTES);
  if (bytes <= LARGE_BYTES) return largePool.pop() ?? Buffer.allocUnsafeSlow(LARGE_BYTES);
  return Buffer.allocUnsafeSlow(bytes);
}

/** Takes a buffer back that nobody refers to any more. */
export function giveBuffer(buffer: Buffer): void {
  if (buffer.length === SMALL_BYTES) {
    if (smallPool.length < POOLED_BUFFERS) smallPool.push(buffer);
  } else if (buffer.length === LARGE_BYTES) {
    if (largePool.length < POOLED_BUFFERS) largePool.push(buffer);
  }
}
