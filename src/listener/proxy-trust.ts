import type { TLSSocket } from 'node:tls';

/** What is wrong with the certificate that was shown, or null. */
export function whyNotAProxy(socket: TLSSocket, names: readonly string[]): string | null {
  // Asked first: Node.js calls a resumed session authorized when there was no certificate in it.
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return 'it showed no certificate (HAProxy: crt)';
  if (!socket.authorized) {
    const code = String(socket.authorizationError);
    return `its certificate is not good: ${code.toLowerCase().replaceAll('_', ' ')}`;
  }
  if (names.length === 0 || names.some((name) => certificate.checkHost(name) !== undefined)) return null;
  return 'its certificate has none of listener.proxy.names';
}

/** What HAProxy says when it does not find the broker's certificate good: it has other reasons than clients have. */
export function whyItGaveUp({ code = '' }: Error & { readonly code?: string }): string | null {
  if (!/_ALERT_(UNKNOWN_CA|BAD_CERTIFICATE|CERTIFICATE_UNKNOWN|INTERNAL_ERROR)$/.test(code)) return null;
  return "it does not accept the broker's certificate: listener.cert has to be of listener.ca, and have the name of cluster.machines for this machine (iotlab-broker certs create --force --name HOST)";
}
