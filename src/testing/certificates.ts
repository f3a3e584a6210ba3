import { randomBytes } from 'node:crypto';
import type { SecureContext } from 'node:tls';
import { readBundle } from '../listener/bundle.js';
import { type CertificateSource, expiriesOf } from '../listener/certificate-source.js';
import { type Authority, type Issued, makeAuthority } from '../listener/certificates.js';
import { makeSecureContext } from '../listener/secure-context.js';
import type { CertificateKind } from './fault-api.js';
import type { FaultBoard } from './fault-board.js';

const hourMs = 3_600_000;

/** Made when the first broker of the process is started, and shared by all of them. */
let shared: { readonly authority: Authority; readonly certificates: Map<CertificateKind, Issued> } | null = null;

/** Of no use to anybody for longer than a week, since its key never leaves the process. */
function throwAwayAuthority(): Authority {
  // A name of its own each: clients that trust two of them must not take one for the other.
  const name = `iotlab-broker throw-away test CA ${randomBytes(4).toString('hex')}`;
  return makeAuthority({ name, ...fromNow(-24, 7 * 24) });
}

function fromNow(fromHours: number, toHours: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() + fromHours * hourMs), notAfter: new Date(Date.now() + toHours * hourMs) };
}

function certificateOf(kind: CertificateKind): Issued {
  shared ??= { authority: throwAwayAuthority(), certificates: new Map() };
  let certificate = shared.certificates.get(kind);
  if (certificate === undefined) {
    certificate = issue(kind, shared.authority);
    shared.certificates.set(kind, certificate);
  }
  return certificate;
}

function issue(kind: CertificateKind, authority: Authority): Issued {
  const week = fromNow(-24, 7 * 24);
  switch (kind) {
    case 'valid':
    case 'rotated':
      return authority.issue(week);
    case 'expired':
      return authority.issue(fromNow(-48, -24));
    case 'not-yet-valid':
      return authority.issue(fromNow(24, 48));
    case 'wrong-host':
      return authority.issue({ names: ['wrong.example'], ...week });
    case 'unknown-ca':
      return throwAwayAuthority().issue(week);
  }
}

/** What the clients of every broker of this process trust (PEM). */
export function throwAwayCa(): string {
  certificateOf('valid');
  return shared!.authority.cert;
}

/** The certificates of one broker: valid, unless a fault says otherwise. Nothing is read from a file. */
export function testCertificates(faults: FaultBoard): CertificateSource {
  const contexts = new Map<CertificateKind, SecureContext>();
  const pair = (kind: CertificateKind) => {
    const { cert: certPem, key: keyPem } = certificateOf(kind);
    return { certPem, keyPem };
  };
  return {
    context() {
      const kind = faults.strike('certificate', {})?.parameters.kind ?? 'valid';
      let context = contexts.get(kind);
      if (context === undefined) {
        context = makeSecureContext(pair(kind));
        contexts.set(kind, context);
      }
      return context;
    },
    pair: () => pair('valid'),
    expiries: () =>
      expiriesOf({
        identities: [{ chain: readBundle(certificateOf('valid').cert) }],
        roots: readBundle(throwAwayCa()),
      }),
    reload: async () => {},
    close: () => contexts.clear(),
  };
}
