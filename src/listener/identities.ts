import { createPrivateKey, type KeyObject, type X509Certificate } from 'node:crypto';
import { readBundle } from './bundle.js';

/**
 * A server certificate with those behind it that lead to a CA, and its key. A broker may have one for each kind of key
 * (ECDSA, RSA): every client is shown the one that costs least of those that it can check.
 */
export interface Identity {
  /** The server's own first. */
  readonly chain: readonly X509Certificate[];
  readonly key: KeyObject;
}

/**
 * Puts keys to certificates. The file's first certificate is a server's; what stands behind it belongs to it, up to the
 * next that has a key. Returns null when the first has no key; throws for a key that belongs to none, and for two keys of
 * one kind.
 */
export function identitiesOf(
  certificates: readonly X509Certificate[],
  keys: readonly KeyObject[],
): readonly Identity[] | null {
  const starts = keys.map((key) => certificates.findIndex((certificate) => certificate.checkPrivateKey(key)));
  if (!starts.includes(0)) return null;
  const nobodys = starts.indexOf(-1);
  if (nobodys !== -1) throw new Error(`key ${nobodys + 1} of ${keys.length} belongs to none of the certificates`);
  const kinds = keys.map((key) => key.asymmetricKeyType);
  if (new Set(kinds).size < kinds.length) throw new Error(`holds two keys of one kind (${kinds.join(', ')})`);
  const endOf = (start: number) => Math.min(certificates.length, ...starts.filter((other) => other > start));
  return keys
    .map((key, index) => ({ key, start: starts[index]! }))
    .sort((a, b) => a.start - b.start)
    .map(({ key, start }) => ({ chain: certificates.slice(start, endOf(start)), key }));
}

/** Every key of a PEM file. Throws when there is none. */
export function readKeys(pem: string): KeyObject[] {
  if (/BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(pem)) {
    throw new Error('the key is protected by a passphrase; remove it with `openssl pkey`');
  }
  const blocks = pem.match(/-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[\s\S]*?-----END (?:[A-Z]+ )?PRIVATE KEY-----/g);
  // OpenSSL's own words may quote the input, which here is a secret.
  try {
    if (blocks !== null) return blocks.map((block) => createPrivateKey(block));
  } catch {}
  throw new Error('holds no PEM private key');
}

/** As Node.js wants them: texts side by side. Of a pair whose two parts don't match, it says what it makes of that. */
export function pemsOf(certPem: string, keyPem: string): { cert: string | string[]; key: string | string[] } {
  const identities = identitiesOf(readBundle(certPem), readKeys(keyPem));
  if (identities === null || identities.length === 1) return { cert: certPem, key: keyPem };
  return {
    cert: identities.map(({ chain }) => chain.map(String).join('')),
    key: identities.map(({ key }) => key.export({ type: 'pkcs8', format: 'pem' }).toString()),
  };
}
