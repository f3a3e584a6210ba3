import 'reflect-metadata';
import { createPrivateKey, randomBytes, type webcrypto as WebCrypto, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';

// The library takes half a second to load on a slow machine, so this file is only ever imported when a certificate is
// about to be made (see certificates.ts).

export type KeyType = 'ec' | 'rsa';

export interface Pair {
  readonly certificate: x509.X509Certificate;
  readonly keys: WebCrypto.CryptoKeyPair;
}

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const algorithms = {
  ec: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  rsa: {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  },
} as const;

function generateKeys(keyType: KeyType): Promise<WebCrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithms[keyType], true, ['sign', 'verify']);
}

/** Positive, at most 20 octets, unpredictable (RFC 5280, 4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return bytes.toString('hex');
}

/** A root that may sign servers but no further authority (RFC 5280, 4.2.1.9). */
export async function issueAuthority(subject: string, keyType: KeyType, validity: Validity): Promise<Pair> {
  const keys = await generateKeys(keyType);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serialNumber(),
      name: [{ CN: [subject] }],
      ...validity,
      signingAlgorithm: algorithms[keyType],
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { certificate, keys };
}

/** A server certificate for `names` (DNS names and IP addresses), signed by `authority`. */
export async function issueServer(
  authority: Pair,
  subject: string,
  names: readonly string[],
  keyType: KeyType,
  validity: Validity,
): Promise<Pair> {
  const keys = await generateKeys(keyType);
  // Only an RSA key is ever used for key encipherment, by TLS 1.2 clients without ECDHE.
  const usage = x509.KeyUsageFlags.digitalSignature | (keyType === 'rsa' ? x509.KeyUsageFlags.keyEncipherment : 0);
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serialNumber(),
      subject: [{ CN: [subject] }],
      issuer: authority.certificate.subjectName,
      ...validity,
      signingAlgorithm: algorithms[authority.keys.privateKey.algorithm.name === 'ECDSA' ? 'ec' : 'rsa'],
      signingKey: authority.keys.privateKey,
      publicKey: keys.publicKey,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(usage, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const), value })),
        ),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto),
        await x509.AuthorityKeyIdentifierExtension.create(authority.keys.publicKey, false, webcrypto),
      ],
    },
    webcrypto,
  );
  return { certificate, keys };
}

/** Throws when either is not PEM, or the key is neither RSA nor P-256. */
export async function readPair(certificatePem: string, keyPem: string): Promise<Pair> {
  const certificate = new x509.X509Certificate(certificatePem);
  const key = createPrivateKey(keyPem);
  const algorithm = algorithms[key.asymmetricKeyType === 'rsa' ? 'rsa' : 'ec'];
  const der = key.export({ type: 'pkcs8', format: 'der' });
  const privateKey = await webcrypto.subtle.importKey('pkcs8', der, algorithm, true, ['sign']);
  const publicKey = await certificate.publicKey.export(algorithm, ['verify'], webcrypto);
  return { certificate, keys: { privateKey, publicKey: publicKey as WebCrypto.CryptoKey } };
}

export async function toPem(pair: Pair): Promise<{ cert: string; key: string }> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', pair.keys.privateKey));
  const lines = der.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  return {
    cert: `${pair.certificate.toString('pem').trim()}\n`,
    key: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`,
  };
}
