/** Is this code of Node's net and tls errors about TLS (a handshake, a certificate) and not about the network? */
export function isTlsErrorCode(code: string): boolean {
  return /^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_|INVALID_|PATH_LENGTH|EPROTO)/u.test(
    code,
  );
}
