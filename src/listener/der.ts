/** The few forms of DER (X.690) that a certificate is made of, and as much of reading them as finding a part takes. */

export function tlv(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  // Certificates stay far below the 16 MB of three bytes.
  const bytes = [length >> 16, (length >> 8) & 255, length & 255];
  const size = length < 128 ? [length] : bytes.slice(length < 256 ? 2 : length < 65_536 ? 1 : 0);
  return Buffer.concat([Buffer.from(length < 128 ? [tag, ...size] : [tag, 0x80 | size.length, ...size]), content]);
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => tlv(0x30, ...parts);
export const set = (...parts: readonly Uint8Array[]): Buffer => tlv(0x31, ...parts);
export const octets = (content: Uint8Array): Buffer => tlv(0x04, content);
export const utf8 = (text: string): Buffer => tlv(0x0c, Buffer.from(text));
export const yes: Buffer = Buffer.from([0x01, 1, 0xff]);
export const nothing: Buffer = Buffer.from([0x05, 0]);

/** A whole number, as the bytes of its positive value. */
export function integer(bytes: Buffer): Buffer {
  return tlv(0x02, bytes[0]! > 127 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}

/** `unused`: how many of the last byte's bits don't count. */
export function bits(bytes: Buffer, unused = 0): Buffer {
  return tlv(0x03, Buffer.from([unused]), bytes);
}

export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const digits = [arc & 127];
    for (let left = arc >> 7; left > 0; left >>= 7) digits.unshift((left & 127) | 128);
    bytes.push(...digits);
  }
  return tlv(0x06, Buffer.from(bytes));
}

/** UTCTime up to 2049, GeneralizedTime from then on (RFC 5280, 4.1.2.5). */
export function time(date: Date): Buffer {
  const digits = `${date.toISOString().slice(0, 19).replaceAll(/[-:T]/g, '')}Z`;
  return date.getUTCFullYear() < 2050 ? tlv(0x17, Buffer.from(digits.slice(2))) : tlv(0x18, Buffer.from(digits));
}

export interface Element {
  readonly tag: number;
  readonly content: Buffer;
  /** Tag, length and content. */
  readonly whole: Buffer;
}

/** What stands one after the other in `der`, which somebody has checked already: a certificate that Node.js has read. */
export function elements(der: Buffer): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < der.length; ) {
    const short = der[at + 1]!;
    const sizeBytes = short < 128 ? 0 : short & 127;
    const start = at + 2 + sizeBytes;
    const end = start + (sizeBytes === 0 ? short : der.readUIntBE(at + 2, sizeBytes));
    found.push({ tag: der[at]!, content: der.subarray(start, end), whole: der.subarray(at, end) });
    at = end;
  }
  return found;
}
