import { isIPv4 } from 'node:net';

/** Of a header, what came so far. Lengths are in bytes from the first one. */
export type ProxyHeader =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'bad'; readonly reason: string }
  /** The proxy relays a client. */
  | { readonly kind: 'relayed'; readonly address: string; readonly port: number; readonly length: number }
  /** The proxy speaks for itself (a health check), or does not know whom it relays. */
  | { readonly kind: 'own'; readonly length: number };

/** "\r\n\r\n\0\r\nQUIT\n": nothing that any other protocol begins with (PROXY protocol, 2.2). */
const signature = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');
const FIXED_BYTES = 16;
/** Addresses and whatever a proxy adds to them; a proxy that adds more is misconfigured. */
const LONGEST_BYTES = FIXED_BYTES + 4_096;

const LOCAL = 0x20;
const PROXY = 0x21;
const INET_STREAM = 0x11;
const INET6_STREAM = 0x21;
const inetBytes = 12;
const inet6Bytes = 36;

const incomplete: ProxyHeader = { kind: 'incomplete' };
const bad = (reason: string): ProxyHeader => ({ kind: 'bad', reason });

/** Could these be the first bytes of a header? */
function beginsProxyHeader(bytes: Buffer): boolean {
  const known = Math.min(bytes.length, signature.length);
  return signature.compare(bytes, 0, known, 0, known) === 0;
}

/** Reads a header of the PROXY protocol's version 2. Judges as soon as there is enough: nobody waits for more of a bad one. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (!beginsProxyHeader(bytes)) return bad(otherThan(bytes));
  if (bytes.length < FIXED_BYTES) return incomplete;
  const [command, family] = [bytes[12]!, bytes[13]!];
  const size = bytes.readUInt16BE(14);
  const length = FIXED_BYTES + size;
  if (command !== LOCAL && command !== PROXY) return bad(`a header of version or command 0x${command.toString(16)}`);
  if (length > LONGEST_BYTES) return bad(`a header of ${length} bytes`);
  if (bytes.length < length) return incomplete;
  if (command === LOCAL) return { kind: 'own', length };
  if (family === INET_STREAM && size >= inetBytes) {
    return { kind: 'relayed', address: bytes.subarray(16, 20).join('.'), port: bytes.readUInt16BE(24), length };
  }
  if (family === INET6_STREAM && size >= inet6Bytes) {
    return { kind: 'relayed', address: inet6(bytes.subarray(16, 32)), port: bytes.readUInt16BE(48), length };
  }
  if (family === INET_STREAM || family === INET6_STREAM) return bad('a header that is shorter than its addresses');
  // Unspecified, or a Unix socket of the proxy's machine: "the receiver should use the real endpoints".
  if (family >> 4 === 0 || family === 0x31) return { kind: 'own', length };
  return bad(`a header for a transport (0x${family.toString(16)}) that no client of MQTT has`);
}

function otherThan(bytes: Buffer): string {
  if (bytes.subarray(0, 6).toString('latin1') === 'PROXY ') {
    return 'a header of version 1 of the PROXY protocol; version 2 is needed (HAProxy: send-proxy-v2)';
  }
  return 'no header of the PROXY protocol; the proxy must send one (HAProxy: send-proxy-v2)';
}

/** In the one spelling that Node.js has too. */
function inet6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16));
  const short = new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
  const mapped = `${bytes.subarray(12).join('.')}`;
  const isMapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes.readUInt16BE(10) === 0xffff;
  return isMapped && isIPv4(mapped) ? mapped : short;
}
