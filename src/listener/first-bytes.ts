/**
 * Can these be the first bytes of a TLS ClientHello: a handshake record (22) of version 3.x that holds a ClientHello (1)
 * (RFC 8446, 4 and 5.1)? Judges as many of them as there are. To anything else OpenSSL would answer with an alert.
 */
export function looksLikeTls(bytes: Buffer): boolean {
  return bytes[0] === 22 && (bytes.length < 2 || bytes[1] === 3) && (bytes.length < 6 || bytes[5] === 1);
}
