import {
  createHash,
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import { isIP } from 'node:net';
import {
  bits,
  type Element,
  elements,
  integer,
  nothing,
  objectId,
  octets,
  sequence,
  set,
  time,
  tlv,
  utf8,
  yes,
} from './der.js';

// Certificates (RFC 5280), written down byte by byte: a development CA and a server certificate need a dozen fields,
// and Node.js has the keys and the signatures.

export type KeyType = 'ec' | 'rsa';

export interface Pair {
  readonly certificate: X509Certificate;
  readonly key: KeyObject;
}

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

interface Subject {
  /** As a certificate has it: a whole Name, in DER. */
  readonly name: Buffer;
  readonly publicKey: KeyObject;
}

interface Issuer {
  readonly name: Buffer;
  readonly key: KeyObject;
  /** Null when the CA's certificate has none. */
  readonly keyId: Buffer | null;
}

const identifiers = {
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  alternativeNames: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuthentication: '1.3.6.1.5.5.7.3.1',
  clientAuthentication: '1.3.6.1.5.5.7.3.2',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  rsaWithSha256: '1.2.840.113549.1.1.11',
};

/** A root that may sign servers but no further authority (RFC 5280, 4.2.1.9). */
export function issueAuthority(name: string, keyType: KeyType, validity: Validity): Pair {
  const { publicKey, privateKey: key } = generateKeys(keyType);
  const self = { name: commonName(name), publicKey, key, keyId: keyIdOf(publicKey) };
  const certificate = certify(self, self, validity, [
    extension(identifiers.basicConstraints, true, sequence(yes, integer(Buffer.from([0])))),
    extension(identifiers.keyUsage, true, bits(Buffer.from([0x06]), 1)), // keyCertSign, cRLSign
  ]);
  return { certificate, key };
}

/** What a certificate is shown for: by the broker to its clients, or by a proxy to the broker. */
export type Purpose = 'server' | 'proxy';

/** A certificate for `names` (DNS names and IP addresses), signed by `authority`. */
export function issueFor(
  purpose: Purpose,
  authority: Pair,
  name: string,
  names: readonly string[],
  keyType: KeyType,
  validity: Validity,
): Pair {
  const shownFor = purpose === 'server' ? identifiers.serverAuthentication : identifiers.clientAuthentication;
  const { publicKey, privateKey: key } = generateKeys(keyType);
  // digitalSignature; and keyEncipherment, which only an RSA key is ever used for, by TLS 1.2 clients without ECDHE.
  const usage = keyType === 'rsa' ? bits(Buffer.from([0xa0]), 5) : bits(Buffer.from([0x80]), 7);
  const certificate = certify({ name: commonName(name), publicKey }, issuerOf(authority), validity, [
    extension(identifiers.basicConstraints, true, sequence()),
    extension(identifiers.keyUsage, true, usage),
    extension(identifiers.extendedKeyUsage, false, sequence(objectId(shownFor))),
    extension(identifiers.alternativeNames, false, sequence(...names.map(alternativeName))),
  ]);
  return { certificate, key };
}

/** Throws when either is not PEM, or the key is neither RSA nor EC. */
export function readPair(certificatePem: string, keyPem: string): Pair {
  const [certificate, key] = [new X509Certificate(certificatePem), createPrivateKey(keyPem)];
  signatureOf(key);
  return { certificate, key };
}

export function toPem({ certificate, key }: Pair): { cert: string; key: string } {
  return { cert: certificate.toString(), key: key.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

function generateKeys(keyType: KeyType) {
  return keyType === 'rsa'
    ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

/** RFC 5280, 4.1. */
function certify(
  subject: Subject,
  issuer: Issuer,
  { notBefore, notAfter }: Validity,
  extensions: readonly Buffer[],
): X509Certificate {
  const serial = randomBytes(16); // positive, at most 20 octets, unpredictable
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const signature = signatureOf(issuer.key);
  const keyIds = [extension(identifiers.subjectKeyIdentifier, false, octets(keyIdOf(subject.publicKey)))];
  if (issuer.keyId !== null) {
    keyIds.push(extension(identifiers.authorityKeyIdentifier, false, sequence(tlv(0x80, issuer.keyId))));
  }
  const body = sequence(
    tlv(0xa0, integer(Buffer.from([2]))), // version 3
    integer(serial),
    signature,
    issuer.name,
    sequence(time(notBefore), time(notAfter)),
    subject.name,
    subject.publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...extensions, ...keyIds)),
  );
  return new X509Certificate(sequence(body, signature, bits(sign('sha256', body, issuer.key))));
}

function signatureOf(key: KeyObject): Buffer {
  if (key.asymmetricKeyType === 'ec') return sequence(objectId(identifiers.ecdsaWithSha256));
  if (key.asymmetricKeyType === 'rsa') return sequence(objectId(identifiers.rsaWithSha256), nothing);
  throw new Error(`a CA's key must be RSA or EC, not ${key.asymmetricKeyType}`);
}

/** Name and key identifier as they stand in the CA's certificate, whoever made it: clients compare them byte by byte. */
function issuerOf({ certificate, key }: Pair): Issuer {
  const [body] = elements(elements(certificate.raw)[0]!.content);
  const fields = elements(body!.content);
  // Version 1 has no field for the version.
  const subject = fields[fields[0]!.tag === 0xa0 ? 5 : 4]!;
  const list = fields.find(({ tag }) => tag === 0xa3);
  const extensions = list === undefined ? [] : elements(elements(list.content)[0]!.content);
  const isKeyId = ({ content }: Element) =>
    elements(content)[0]!.whole.equals(objectId(identifiers.subjectKeyIdentifier));
  const found = extensions.find(isKeyId);
  const keyId = found === undefined ? null : elements(elements(found.content).at(-1)!.content)[0]!.content;
  return { name: subject.whole, key, keyId };
}

function commonName(text: string): Buffer {
  return sequence(set(sequence(objectId(identifiers.commonName), utf8(text))));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectId(id), ...(critical ? [yes] : []), octets(value));
}

/** SHA-1 of the key's bits, as RFC 5280, 4.2.1.2 proposes. */
function keyIdOf(publicKey: KeyObject): Buffer {
  const [information] = elements(publicKey.export({ type: 'spki', format: 'der' }));
  const keyBits = elements(information!.content)[1]!.content.subarray(1);
  return createHash('sha1').update(keyBits).digest();
}

function alternativeName(name: string): Buffer {
  return isIP(name) === 0 ? tlv(0x82, Buffer.from(name)) : tlv(0x87, addressBytes(name));
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  // URL writes a dotted quad at the end as the two groups that it stands for.
  const [head = '', tail = ''] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const words = (text: string) => (text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16)));
  const [before, after] = [words(head), words(tail)];
  const all = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 255]));
}
