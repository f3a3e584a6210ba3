import type { Log } from '../observe/log.js';
import { daysLeft, expiryOf, oneLine } from './bundle.js';
import type { CertificateFiles } from './certificates.js';
import type { Material } from './secure-context.js';

/** From so many days before its end a certificate is warned about every day. */
export const warnDays = 30;

/**
 * One line per certificate that is close to its end or past it. With `all`, one line also for the server's certificate
 * when it is well.
 */
export function reportExpiry(material: Material, files: CertificateFiles, now: number, log: Log, all: boolean): void {
  const entries = [
    ...material.chain.map((certificate, index) => ({ certificate, file: files.cert, own: true, first: index === 0 })),
    ...material.authorities.map((certificate) => ({ certificate, file: files.ca, own: false, first: false })),
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
