import '../mqtt/buffer-slices.js';
import { isUtf8 } from 'node:buffer';
import { ProtocolError } from './protocol-error.js';

/** Filters that are decoded in one step. */
export const FILTERS_PER_STEP = 64;

/** Where the string field at `at` ends. */
export function fieldEnd(chunk: Buffer, at: number, end: number): number {
  const fieldEnd = at + 2 + ((chunk[at]! << 8) | (chunk[at + 1] ?? 0));
  if (at + 2 > end || fieldEnd > end) throw new ProtocolError('malformed', 'the packet ends in the middle of a field');
  return fieldEnd;
}

/** Decoded leniently, what is not UTF-8 becomes U+FFFD: only then the bytes are looked at [MQTT-1.5.3-1]. */
export function readText(chunk: Buffer, start: number, end: number, what: string): string {
  const text = chunk.utf8Slice(start, end);
  if (text.includes('\0')) throw new ProtocolError('MQTT-1.5.3-2', `U+0000 in the ${what}`);
  if (text.includes('\uFFFD') && !isUtf8(chunk.subarray(start, end))) {
    throw new ProtocolError('MQTT-1.5.3-1', `the ${what} is not UTF-8`);
  }
  return text;
}

/**
 * How many filters a packet has, from `at` on, is told from their length fields alone: decoding millions of them would
 * hold up everybody. `extraBytes` is what follows each.
 */
export function checkCount(chunk: Buffer, at: number, end: number, extraBytes: number, maxFilters: number): void {
  let count = 0;
  for (let i = at; i + 2 <= end; count++) i += 2 + ((chunk[i]! << 8) | chunk[i + 1]!) + extraBytes;
  if (count > maxFilters) throw new ProtocolError('quota', `${count} filters in a packet; ${maxFilters} are allowed`);
}

/** `tag`: of the clause that forbids 0. */
export function readPacketId(chunk: Buffer, at: number, tag: string): number {
  const packetId = (chunk[at]! << 8) | chunk[at + 1]!;
  if (packetId === 0) throw new ProtocolError(tag, 'packet id 0');
  return packetId;
}

/** The filters of an UNSUBSCRIBE, which are the rest of it. */
export function* readFilters(chunk: Buffer, at: number, end: number): Generator<undefined, string[], void> {
  const filters: string[] = [];
  for (let i = at; i < end; ) {
    const filterEnd = fieldEnd(chunk, i, end);
    filters.push(readText(chunk, i + 2, filterEnd, 'topic filter'));
    i = filterEnd;
    if (filters.length % FILTERS_PER_STEP === 0) yield;
  }
  if (filters.length === 0) throw new ProtocolError('MQTT-3.10.3-2', 'UNSUBSCRIBE without a filter');
  return filters;
}
