/**
 * Buffers for what sockets are sent come in a few sizes, and some of each are kept: one is needed for every write. One
 * that is full is replaced by one of the next size: a thousand sockets that are sent a little must not take much.
 */
const SIZES = [4 * 1024, 16 * 1024, 64 * 1024];
export const LARGE_BYTES = 64 * 1024;
const POOLED_BUFFERS = 64;

const pools: Buffer[][] = SIZES.map(() => []);

/** A buffer of at least `bytes`, perhaps with what it held before. */
export function takeBuffer(bytes: number): Buffer {
  for (let i = 0; i < SIZES.length; i++) {
    const size = SIZES[i]!;
    if (bytes <= size) return pools[i]!.pop() ?? Buffer.allocUnsafeSlow(size);
  }
  return Buffer.allocUnsafeSlow(bytes);
}

/** Takes a buffer back that nobody refers to any more. */
export function giveBuffer(buffer: Buffer): void {
  const pool = pools[SIZES.indexOf(buffer.length)];
  if (pool !== undefined && pool.length < POOLED_BUFFERS) pool.push(buffer);
}
