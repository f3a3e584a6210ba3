import type { SecureContext } from 'node:tls';
import type { CertificateSource } from '../listener/certificate-source.js';
import { serverNames } from '../listener/certificates.js';
import { makeSecureContext } from '../listener/secure-context.js';
import { type ServerCertificate, ThrowAwayAuthority } from './authority.js';
import type { CertificateKind } from './fault-api.js';
import type { FaultBoard } from './fault-board.js';

const hourMs = 3_600_000;

/** Made when the first broker of the process is started, and shared by all of them. */
let shared: {
  readonly authority: ThrowAwayAuthority;
  readonly certificates: Map<CertificateKind, ServerCertificate>;
} | null = null;

function certificateOf(kind: CertificateKind): ServerCertificate {
  shared ??= { authority: new ThrowAwayAuthority(), certificates: new Map() };
  let certificate = shared.certificates.get(kind);
  if (certificate === undefined) {
    certificate = issue(kind, shared.authority);
    shared.certificates.set(kind, certificate);
  }
  return certificate;
}

function issue(kind: CertificateKind, authority: ThrowAwayAuthority): ServerCertificate {
  const at = (fromHours: number, toHours: number) => ({
    notBefore: new Date(Date.now() + fromHours * hourMs),
    notAfter: new Date(Date.now() + toHours * hourMs),
  });
  switch (kind) {
    case 'valid':
    case 'rotated':
      return authority.issue(serverNames());
    case 'expired':
      return authority.issue(serverNames(), at(-48, -24));
    case 'not-yet-valid':
      return authority.issue(serverNames(), at(24, 48));
    case 'wrong-host':
      return authority.issue(['wrong.example']);
    case 'unknown-ca':
      return new ThrowAwayAuthority().issue(serverNames());
  }
}

/** What the clients of every broker of this process trust (PEM). */
export function throwAwayCa(): string {
  certificateOf('valid');
  return shared!.authority.caPem;
}

/** The certificates of one broker: valid, unless a fault says otherwise. Nothing is read from a file. */
export function testCertificates(faults: FaultBoard): CertificateSource {
  const contexts = new Map<CertificateKind, SecureContext>();
  return {
    context() {
      const kind = faults.strike('certificate', {})?.parameters.kind ?? 'valid';
      let context = contexts.get(kind);
      if (context === undefined) {
        context = makeSecureContext(certificateOf(kind));
        contexts.set(kind, context);
      }
      return context;
    },
    reload: async () => {},
    close: () => contexts.clear(),
  };
}
