/*
 * Arrays as PostgreSQL takes them in binary (`array_recv`): dimensions, whether there are nulls, the elements' type, their
 * number, the first index; then each element with its length. The driver sends a Buffer as binary. Written as text, as it
 * would otherwise be, the bytes of a message are twice as many, and each of them is looked at several times.
 */
const HEAD_BYTES = 20;
const SMALLINT = 21;
const TEXT = 25;
const BYTEA = 17;

export function smallints(values: readonly number[]): Buffer {
  const array = begin(SMALLINT, values.length, 6 * values.length);
  let at = HEAD_BYTES;
  for (const value of values) {
    array.writeInt32BE(2, at);
    at = array.writeInt16BE(value, at + 4);
  }
  return array;
}

export function texts(values: readonly string[]): Buffer {
  let bytes = 0;
  for (const value of values) bytes += 4 + Buffer.byteLength(value);
  const array = begin(TEXT, values.length, bytes);
  let at = HEAD_BYTES;
  for (const value of values) {
    const length = array.write(value, at + 4);
    array.writeInt32BE(length, at);
    at += 4 + length;
  }
  return array;
}

export function byteas(values: readonly Buffer[]): Buffer {
  let bytes = 0;
  for (const value of values) bytes += 4 + value.length;
  const array = begin(BYTEA, values.length, bytes);
  let at = HEAD_BYTES;
  for (const value of values) {
    at = array.writeInt32BE(value.length, at);
    at += value.copy(array, at);
  }
  return array;
}

function begin(type: number, count: number, bytes: number): Buffer {
  const array = Buffer.allocUnsafe(count === 0 ? 12 : HEAD_BYTES + bytes);
  array.writeInt32BE(count === 0 ? 0 : 1, 0);
  array.writeInt32BE(0, 4);
  array.writeInt32BE(type, 8);
  if (count === 0) return array;
  array.writeInt32BE(count, 12);
  array.writeInt32BE(1, 16);
  return array;
}
