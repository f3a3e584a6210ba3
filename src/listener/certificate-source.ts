import type { X509Certificate } from 'node:crypto';
import type { SecureContext } from 'node:tls';
import type { Clock } from '../clock.js';
import { UsageError } from '../errors.js';
import { stateOf, watchFiles } from '../file-watch.js';
import type { Log } from '../observe/log.js';
import { daysLeft, expiryOf, oneLine } from './bundle.js';
import type { CertificateFiles } from './certificates.js';
import type { Identity } from './identities.js';
import { type Material, makeSecureContext, readMaterial, TICKETS_MS } from './secure-context.js';

/** The certificate that new connections get, kept up to date with the files. */
export interface CertificateSource {
  context(): SecureContext;
  /** The same as PEM: another object whenever it is another certificate. */
  pair(): CertificatePair;
  /** When those in use end, by what they are for. */
  expiries(): readonly CertificateExpiry[];
  /** Reads the files now. Resolves also when they are unusable: then the old ones stay, and the log says why. */
  reload(): Promise<void>;
  close(): void;
}

export interface CertificateExpiry {
  /** Of several with one role, it is the first to end. */
  readonly role: 'server' | 'intermediate' | 'ca';
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

export type CertificatePair = Pick<Material, 'certPem' | 'keyPem'>;

const dayMs = 86_400_000;
/** Certificate and key are written one after the other: a mismatch gets this much time to become a match. */
const patienceMs = 15_000;
/** From so many days before its end a certificate is warned about every day. */
const warnDays = 30;

/** Throws `UsageError` when the files cannot be used. */
export async function openCertificateSource(options: {
  readonly files: CertificateFiles;
  readonly log: Log;
  readonly clock: Clock;
  /** Another certificate is in use. */
  readonly onChange?: (pair: CertificatePair) => void;
}): Promise<CertificateSource> {
  const { files, log, clock, onChange } = options;
  const watched = [files.cert, files.key, files.ca].filter((file) => file !== '');
  let seen = await stateOf(watched);
  let { material, context } = await load(files);
  let unusableSinceMs: number | null = null;
  let closed = false;
  let running: Promise<void> = Promise.resolve();

  const report = (all: boolean) => {
    reportExpiry(material, files, clock.epochMs(), log, all);
    if (all) for (const warning of material.warnings) log.warn({ files }, warning);
  };
  report(true);

  /** What is not usable is left unseen for a while, so that the watch calls again. */
  async function attempt(waitMs: number): Promise<void> {
    if (closed) return;
    const state = await stateOf(watched);
    try {
      const next = await load(files);
      if (closed) return;
      const expired = certificatesOf(next.material).find(
        (certificate) => Date.parse(certificate.validTo) <= clock.epochMs(),
      );
      if (expired !== undefined && !sameText(next.material, material)) {
        throw new UsageError(
          `listener.cert: ${files.cert} has expired (${expired.validTo}). Put a valid one in place.`,
        );
      }
      seen = state;
      unusableSinceMs = null;
      if (sameText(next.material, material)) return log.debug({ files }, 'Certificates unchanged');
      ({ material, context } = next);
      log.info({ files: Object.values(files) }, 'Certificates reloaded');
      onChange?.(material);
      report(true);
    } catch (error) {
      unusableSinceMs ??= clock.monotonicMs();
      if (clock.monotonicMs() - unusableSinceMs < waitMs) {
        log.debug({ files }, `New certificates not usable yet, trying again: ${(error as Error).message}`);
        return;
      }
      seen = state;
      unusableSinceMs = null;
      log.error({ files }, `The new certificates are not used, the old ones stay: ${(error as Error).message}`);
    }
  }
  /** One at a time, so that a slow read never puts an older certificate over a newer one. */
  function inTurn(waitMs: number): Promise<void> {
    running = running.then(() => attempt(waitMs));
    return running;
  }

  const stopWatching = watchFiles({ files: watched, clock, seen: () => seen, onChange: () => inTurn(patienceMs) });
  const stopDaily = clock.every(dayMs, () => report(false));
  const stopRotation = clock.every(TICKETS_MS, () => {
    context = makeSecureContext(material);
  });

  return {
    context: () => context,
    pair: () => material,
    expiries: () => expiriesOf(material),
    reload: () => inTurn(0),
    close() {
      closed = true;
      stopWatching();
      stopDaily();
      stopRotation();
    },
  };
}

async function load(files: CertificateFiles): Promise<{ material: Material; context: SecureContext }> {
  const material = await readMaterial(files);
  try {
    return { material, context: makeSecureContext(material) };
  } catch (cause) {
    // OpenSSL refuses what it finds too weak: RSA below 2048 bits, SHA-1 signatures.
    const reason = (cause as { reason?: string }).reason ?? (cause as Error).message;
    throw new UsageError(`listener.cert: ${files.cert} is refused by OpenSSL: ${reason}. Use another certificate.`, {
      code: 'E_CERTIFICATE',
      cause,
    });
  }
}

const certificatesOf = ({ identities }: Pick<Material, 'identities'>) => identities.flatMap(({ chain }) => chain);

/** The ends of a server's certificate, of those that come with it, and of those that clients trust. */
export function expiriesOf({
  identities,
  roots,
}: {
  readonly identities: readonly Pick<Identity, 'chain'>[];
  readonly roots: readonly X509Certificate[];
}): CertificateExpiry[] {
  const first = (role: CertificateExpiry['role'], certificates: readonly X509Certificate[]) =>
    certificates.length === 0 ? [] : [{ role, expiresAt: Math.min(...certificates.map(expiryOf)) }];
  const servers = identities.map(({ chain }) => chain[0]!);
  const intermediates = identities.flatMap(({ chain }) => chain.slice(1));
  return [...first('server', servers), ...first('intermediate', intermediates), ...first('ca', roots)];
}

function sameText(a: Material, b: Material): boolean {
  return a.certPem === b.certPem && a.keyPem === b.keyPem && a.caPem === b.caPem;
}

/**
 * One line per certificate that is close to its end or past it. With `all`, one line also for the server's certificate
 * when it is well.
 */
function reportExpiry(material: Material, files: CertificateFiles, now: number, log: Log, all: boolean): void {
  const entries = [
    ...material.identities.flatMap(({ chain }) =>
      chain.map((certificate, index) => ({ certificate, file: files.cert, own: true, first: index === 0 })),
    ),
    ...material.roots.map((certificate) => ({ certificate, file: files.ca, own: false, first: false })),
  ];
  for (const { certificate, file, own, first } of entries) {
    const left = daysLeft(certificate, now);
    const fields = {
      file,
      subject: oneLine(certificate.subject),
      validTo: new Date(expiryOf(certificate)).toISOString(),
      daysLeft: left,
    };
    if (expiryOf(certificate) <= now)
      log.error(fields, `The certificate has expired: clients refuse it. ${remedy(own)}`);
    else if (Date.parse(certificate.validFrom) > now) {
      log.error(
        { ...fields, validFrom: certificate.validFrom },
        'The certificate is not valid yet: is the clock right?',
      );
    } else if (left < warnDays) log.warn(fields, `The certificate expires in ${left} days. ${remedy(own)}`);
    else if (first && all) log.info(fields, 'Server certificate loaded');
  }
}

function remedy(own: boolean): string {
  return own
    ? 'Renew it (development certificates: iotlab-broker certs create --force); no restart is needed.'
    : 'Renew it and hand the new one to the clients.';
}
