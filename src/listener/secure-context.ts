import { constants, type X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import tls from 'node:tls';
import { UsageError } from '../errors.js';
import { oneLine, readBundle, rootsOf } from './bundle.js';
import type { CertificateFiles } from './certificates.js';
import { type Identity, identitiesOf, pemsOf, readKeys } from './identities.js';

/** What was in the files, checked, and whatever a log should say about it. */
export interface Material {
  readonly certPem: string;
  readonly keyPem: string;
  readonly caPem: string;
  /** Of each kind of key at most one; the first of the file first. */
  readonly identities: readonly Identity[];
  /** Of `listener.ca`, those that their chains lead to. */
  readonly roots: readonly X509Certificate[];
  readonly warnings: readonly string[];
}

/** Reads and checks the three files; throws `UsageError` naming the file, its key in the configuration, and the remedy. */
export async function readMaterial(files: CertificateFiles): Promise<Material> {
  const certPem = await readPemFile('listener.cert', files.cert);
  const keyPem = await readPemFile('listener.key', files.key);
  const certificates = parse('listener.cert', files.cert, () => readBundle(certPem));
  const keys = parse('listener.key', files.key, () => readKeys(keyPem));
  const identities = parse('listener.key', files.key, () => identitiesOf(certificates, keys));
  if (identities === null) {
    throw new UsageError(
      `listener.key: ${files.key} is not the key of the certificate in ${files.cert} (${oneLine(certificates[0]!.subject)}). ` +
        'Put the matching pair in place; the server certificate must be the first of its file.',
      { code: 'E_CERTIFICATE' },
    );
  }
  const warnings: string[] = [];
  let caPem = '';
  if (files.ca !== '') {
    try {
      caPem = await readFile(files.ca, 'utf8');
    } catch (cause) {
      warnings.push(`listener.ca: ${files.ca} cannot be read (${reasonOf(cause)}); it is the file to hand to clients`);
    }
  }
  const authorities = caPem === '' ? [] : parse('listener.ca', files.ca, () => readBundle(caPem));
  const roots = new Set<X509Certificate>();
  for (const { chain } of identities) {
    const found = rootsOf(chain, authorities);
    for (const root of found) roots.add(root);
    if (authorities.length === 0 || found.length > 0) continue;
    const which = identities.length === 1 ? '' : ` (the one with the ${chain[0]!.publicKey.asymmetricKeyType} key)`;
    warnings.push(
      `listener.cert: ${files.cert}${which} was not issued by a CA in ${files.ca}: clients that trust that file will refuse the broker`,
    );
  }
  return { certPem, keyPem, caPem, identities, roots: [...roots], warnings };
}

const preferred = [
  // AES-128 before AES-256: fewer rounds per record, and SHA-256 in the handshake, which processors have in hardware.
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
];
// Node's own list behind them, with the older suites that small TLS 1.2 stacks still depend on.
const ciphers = [...new Set([...preferred, ...constants.defaultCoreCipherList.split(':')])].join(':');

/**
 * For so long a session can be resumed, milliseconds: a device that sleeps for an hour does without the signature. Ticket
 * keys live in the context, and whoever steals them reads TLS 1.2 sessions that were resumed with them: so not for longer.
 */
export const TICKETS_MS = 12 * 3_600_000;

/**
 * TLS 1.2 and 1.3, whatever Node's command line says. Each context has session ticket keys of its own, known to nobody
 * and kept nowhere, so making a new one is how they rotate.
 */
export function makeSecureContext(pair: Pick<Material, 'certPem' | 'keyPem'>): tls.SecureContext {
  // No client's certificate is ever asked for. An empty list rather than none: with Node's own roots in the context,
  // every handshake would search them for the server's issuer.
  return tls.createSecureContext(secureOptions(pair, []));
}

/** `authorities` are those of the peers' certificates. */
export function secureOptions(
  { certPem, keyPem }: Pick<Material, 'certPem' | 'keyPem'>,
  authorities: string[],
): tls.SecureContextOptions {
  return {
    ...pemsOf(certPem, keyPem),
    ca: authorities,
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers,
    // Also of the kinds of signature: ECDSA before RSA, which costs the broker ten times as much.
    honorCipherOrder: true,
    sessionTimeout: TICKETS_MS / 1_000,
    // A client without AES instructions puts ChaCha20 first, and then gets it. Renegotiation costs a handshake for free.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_PRIORITIZE_CHACHA,
  };
}

export async function readPemFile(key: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const remedy = missing
      ? 'Put it there, or set the key to where it is; for development, `iotlab-broker certs create` makes one.'
      : `The broker's user (uid ${process.getuid?.() ?? '?'}) must be able to read it.`;
    throw new UsageError(`${key}: ${file} cannot be read: ${reasonOf(cause)}. ${remedy}`, {
      code: 'E_CERTIFICATE',
      cause,
    });
  }
}

function parse<T>(key: string, file: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    const message = (cause as Error).message;
    throw new UsageError(`${key}: ${file} is unusable: ${message}. Expected: a PEM file.`, {
      code: 'E_CERTIFICATE',
      cause,
    });
  }
}

function reasonOf(cause: unknown): string {
  const code = (cause as NodeJS.ErrnoException).code;
  const words = new Map([
    ['ENOENT', 'no such file'],
    ['EACCES', 'permission denied'],
    ['EISDIR', 'it is a folder'],
  ]);
  return words.get(code ?? '') ?? code ?? (cause as Error).message;
}
