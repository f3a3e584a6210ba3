import { X509Certificate } from 'node:crypto';

/** Every certificate of a PEM file, in order. Throws when there is none, or one of them is no certificate. */
export function readBundle(pem: string): X509Certificate[] {
  const blocks = pem.match(
    /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[\s\S]*?-----END (?:TRUSTED |X509 )?CERTIFICATE-----/g,
  );
  if (blocks === null) throw new Error('holds no PEM certificate');
  return blocks.map((block) => new X509Certificate(block));
}

/** Milliseconds since the epoch. */
export function expiryOf(certificate: X509Certificate): number {
  return Date.parse(certificate.validTo);
}

/** Whole days until the certificate expires; negative when it has. */
export function daysLeft(certificate: X509Certificate, now: number): number {
  return Math.floor((expiryOf(certificate) - now) / 86_400_000);
}

/** One line: `CN=localhost`, or `O=INRIA, CN=mqtt.iot-lab.info`. */
export function oneLine(name: string): string {
  return name.trim().split('\n').join(', ');
}

/** The names in the certificate, as a client writes them: `localhost`, `127.0.0.1`, `::1`. */
export function namesOf(certificate: X509Certificate): string[] {
  const list = certificate.subjectAltName?.split(', ') ?? [];
  return list.map((name) => name.replace(/^(DNS|IP Address):/, '')).map(shortIp);
}

function shortIp(name: string): string {
  if (!/^[0-9A-F]{1,4}(:[0-9A-F]{1,4}){7}$/i.test(name)) return name;
  return new URL(`http://[${name}]`).hostname.slice(1, -1);
}

/** Does `leaf` lead to one of `roots` through the certificates that come with it? Signatures are checked, dates not. */
export function leadsTo(chain: readonly X509Certificate[], roots: readonly X509Certificate[]): boolean {
  return rootsOf(chain, roots).length > 0;
}

/** Those of `roots` that the chain leads to. The others of a bundle, a hundred of them maybe, are none of its business. */
export function rootsOf(chain: readonly X509Certificate[], roots: readonly X509Certificate[]): X509Certificate[] {
  let current = chain[0];
  for (let depth = 0; current !== undefined && depth < 10; depth++) {
    const { fingerprint256 } = current;
    const child: X509Certificate = current;
    const signs = (candidate: X509Certificate) => child.checkIssued(candidate) && child.verify(candidate.publicKey);
    const found = roots.filter((root) => root.fingerprint256 === fingerprint256 || signs(root));
    if (found.length > 0) return found;
    current = chain.find((candidate) => candidate !== child && signs(candidate));
  }
  return [];
}
