/** What became of a connection, by an error of Node's net, dns or tls; `text` is in words for the log. */
export function connectionError(error: unknown): { kind: 'tls' | 'closed' | 'unreachable'; text: string } {
  const { code = '', message = String(error) } = (error ?? {}) as { code?: string; message?: string };
  if (tlsCodes.test(code)) return { kind: 'tls', text: `no trustworthy TLS: ${message}` };
  if (code === 'ECONNRESET' || code === 'EPIPE') return { kind: 'closed', text: 'the connection was closed' };
  return { kind: 'unreachable', text: `cannot be reached: ${code === '' ? message : code}` };
}

const tlsCodes =
  /^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_|INVALID_|PATH_LENGTH|EPROTO)/u;
