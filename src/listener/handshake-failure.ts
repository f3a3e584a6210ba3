const distrust =
  'the client does not trust the certificate; give it the CA file of listener.ca, and a name that is in the certificate';

const reasons = new Map<string, string>([
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', distrust],
  ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', distrust],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_UNKNOWN', distrust],
  ['ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR', distrust],
  [
    'ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED',
    'the client says that the certificate has expired, or its clock is wrong',
  ],
  [
    'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR',
    'the client gave up; mosquitto clients do so when the certificate does not hold the name they connect to',
  ],
  ['ERR_SSL_UNSUPPORTED_PROTOCOL', 'the client offers no TLS version from 1.2 on'],
  ['ERR_SSL_VERSION_TOO_LOW', 'the client offers no TLS version from 1.2 on'],
  ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'the client offers no TLS version that the broker speaks'],
  ['ERR_SSL_NO_SHARED_CIPHER', 'the client offers no cipher suite that the broker accepts with this certificate'],
  ['ERR_SSL_NO_SHARED_GROUP', 'the client offers no key exchange group that the broker knows'],
  ['ERR_SSL_NO_SUITABLE_KEY_SHARE', 'the client offers no key exchange group that the broker knows'],
  ['ERR_SSL_NO_SHARED_SIGNATURE_ALGORITHMS', 'the client accepts no signature of this kind of certificate'],
  ['ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM', 'the client accepts no signature of this kind of certificate'],
  ['ECONNRESET', 'the client reset the connection'],
  ['EPIPE', 'the client closed the connection'],
  ['ETIMEDOUT', 'the network lost the client'],
]);

/** Why a TLS handshake failed, in words for the operator; never with anything that the peer sent. */
export function handshakeFailure(error: Error): string {
  const { code, reason } = error as { code?: string; reason?: string };
  return reasons.get(code ?? '') ?? reason ?? code ?? 'unknown';
}

/** What a peer that does not speak TLS seems to speak instead, judged by its first byte. */
export function plaintextGuess(first: number): string {
  if (first === 0x10) return 'MQTT without TLS; clients must use TLS (mosquitto_sub --cafile FILE)';
  if (first >= 0x41 && first <= 0x5a) return 'text, perhaps HTTP';
  return 'something other than TLS';
}
