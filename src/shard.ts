/**
 * Into how many slots the logins fall. A shard has every slot whose number is its own when divided by the number of
 * shards, so that another number of shards moves whole slots.
 */
export const SLOTS = 256;

/** The slot of a login. HAProxy computes the same: `lower,djb2(1),mod(256)`. */
export function slotOf(login: string): number {
  return avalanche(djb2(Buffer.from(login))) % SLOTS;
}

/** The shard of a login, from 0 on. */
export function shardOf(login: string, shards: number): number {
  return shards === 1 ? 0 : slotOf(login) % shards;
}

/** D. J. Bernstein's hash with 33 as the factor, of the bytes in ASCII lower case. */
function djb2(bytes: Buffer): number {
  let hash = 5_381;
  for (const byte of bytes) {
    const lower = byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte;
    hash = (Math.imul(hash, 33) + lower) | 0;
  }
  return hash >>> 0;
}

/** Robert Jenkins' integer hash, and HAProxy's factor on top: without it, logins that end alike would stay together. */
function avalanche(hash: number): number {
  let a = hash | 0;
  a = (a + 0x7ed55d16 + (a << 12)) | 0;
  a = a ^ 0xc761c23c ^ (a >>> 19);
  a = (a + 0x165667b1 + (a << 5)) | 0;
  a = (a + 0xd3a2646c) ^ (a << 9);
  a = (a + 0xfd7046c5 + (a << 3)) | 0;
  a = a ^ 0xb55a4f09 ^ (a >>> 16);
  return Math.imul(a, 3_221_225_473) >>> 0;
}
