import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { bits, integer, objectId, octets, sequence, set, time, tlv, utf8, yes } from './der.js';

// The service makes its certificates with @peculiar/x509, which takes longer to load than a test wants to wait for its
// broker. A throw-away P-256 authority is simple enough to be written down byte by byte.

const dayMs = 86_400_000;
/** Nothing that this authority signs is of use to anybody for longer: its key never leaves the process. */
const validDays = 7;

const ecdsaWithSha256 = sequence(objectId('1.2.840.10045.4.3.2'));

export interface ServerCertificate {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

interface Subject {
  readonly name: string;
  readonly publicKey: KeyObject;
}

/** A certificate authority for the tests of one process; its private key is never written anywhere. */
export class ThrowAwayAuthority {
  readonly caPem: string;
  private readonly self: Subject;
  private readonly key: KeyObject;

  constructor() {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    // A name of its own each: clients that trust two of them must not take one for the other.
    const name = `iotlab-broker throw-away test CA ${randomBytes(4).toString('hex')}`;
    this.self = { name, publicKey };
    this.key = privateKey;
    this.caPem = this.certify(this.self, currently(), [
      extension('2.5.29.19', true, sequence(yes, integer(Buffer.from([0])))), // CA, of servers only
      extension('2.5.29.15', true, bits(Buffer.from([0x06]), 1)), // keyCertSign, cRLSign
    ]);
  }

  /** A server certificate for `names` (DNS names and IP addresses). */
  issue(names: readonly string[], validity: Validity = currently()): ServerCertificate {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const certPem = this.certify({ name: 'iotlab-broker test', publicKey }, validity, [
      extension('2.5.29.19', true, sequence()),
      extension('2.5.29.15', true, bits(Buffer.from([0x80]), 7)), // digitalSignature
      extension('2.5.29.37', false, sequence(objectId('1.3.6.1.5.5.7.3.1'))), // TLS servers
      extension('2.5.29.17', false, sequence(...names.map(alternativeName))),
    ]);
    return { certPem, keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
  }

  /** RFC 5280, 4.1. */
  private certify(subject: Subject, { notBefore, notAfter }: Validity, extensions: readonly Buffer[]): string {
    const serial = randomBytes(16);
    serial[0] = (serial[0]! & 0x7f) | 0x40;
    const body = sequence(
      tlv(0xa0, integer(Buffer.from([2]))), // version 3
      integer(serial),
      ecdsaWithSha256,
      commonName(this.self.name),
      sequence(time(notBefore), time(notAfter)),
      commonName(subject.name),
      subject.publicKey.export({ type: 'spki', format: 'der' }),
      tlv(
        0xa3,
        sequence(
          ...extensions,
          extension('2.5.29.14', false, octets(keyId(subject.publicKey))),
          extension('2.5.29.35', false, sequence(tlv(0x80, keyId(this.self.publicKey)))),
        ),
      ),
    );
    const der = sequence(body, ecdsaWithSha256, bits(sign('sha256', body, this.key)));
    return new X509Certificate(der).toString();
  }
}

/** From yesterday on, so that a clock that is slow does no harm. */
function currently(): Validity {
  return { notBefore: new Date(Date.now() - dayMs), notAfter: new Date(Date.now() + validDays * dayMs) };
}

function commonName(text: string): Buffer {
  return sequence(set(sequence(objectId('2.5.4.3'), utf8(text))));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(objectId(id), ...(critical ? [yes] : []), octets(value));
}

function keyId(publicKey: KeyObject): Buffer {
  return createHash('sha1')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest();
}

function alternativeName(name: string): Buffer {
  return isIP(name) === 0 ? tlv(0x82, Buffer.from(name)) : tlv(0x87, addressBytes(name));
}

function addressBytes(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail = ''] = address.split('::');
  const words = (text: string) => (text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16)));
  const [before, after] = [words(head), words(tail)];
  const all = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 255]));
}
