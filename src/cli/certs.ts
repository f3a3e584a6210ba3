import type { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ListenerConfig } from '../config/config.js';
import { configOrigin, loadConfig } from '../config/load.js';
import { UsageError, whyNoFile } from '../errors.js';
import { daysLeft, expiryOf, namesOf, oneLine, readBundle, rootsOf } from '../listener/bundle.js';
import { createCertificates } from '../listener/certificate-files.js';
import { serverDays } from '../listener/certificates.js';
import type { KeyType } from '../listener/issue.js';
import { jsonText } from '../observe/json-text.js';
import { action, type CommandIo } from './command.js';
import { defineCommand } from './define-command.js';

interface Wanted {
  readonly key?: string | undefined;
  readonly name?: readonly string[] | undefined;
  readonly days?: string | undefined;
  readonly force?: boolean | undefined;
}

const kinds: ReadonlyMap<string, readonly KeyType[]> = new Map([
  ['ec', ['ec']],
  ['rsa', ['rsa']],
  ['both', ['ec', 'rsa']],
]);

async function create(
  { key = 'ec', name = [], days = String(serverDays), force = false }: Wanted,
  config: string | undefined,
  io: CommandIo,
): Promise<number> {
  if (!/^[1-9]\d{0,4}$/.test(days)) throw new UsageError(`certs: --days ${days} is not a number from 1 to 99999`);
  const keyTypes = kinds.get(key);
  if (keyTypes === undefined) throw new UsageError(`certs: --key ${key}: ec, rsa or both is meant.`);
  const { cert, key: keyFile, ca } = (await loadConfig(config, io.env)).listener;
  const files = { cert, key: keyFile, ca };
  const { authorityCreated } = await createCertificates({
    files,
    keyTypes,
    names: name,
    days: Number(days),
    force,
  });
  io.stdout.write(`Server certificate: ${files.cert}\nPrivate key:        ${files.key}\n`);
  io.stdout.write(`CA for clients:     ${files.ca}${authorityCreated ? ' (new: hand it to the clients)' : ''}\n`);
  io.stdout.write(`(${configOrigin(config, io.env)})\n`);
  return 0;
}

interface Shown {
  readonly file: string;
  readonly subject: string;
  readonly names: readonly string[];
  readonly issuer: string;
  readonly ca: boolean;
  readonly validFrom: string;
  readonly validTo: string;
  readonly daysLeft: number;
  readonly fingerprint256: string;
}

async function show(listener: ListenerConfig, json: boolean, io: CommandIo): Promise<number> {
  const { cert, ca } = listener;
  const chain = await readCertificates('listener.cert', cert);
  const bundle = ca === '' ? [] : await readCertificates('listener.ca', ca);
  const shown = (file: string, certificates: readonly X509Certificate[]) =>
    certificates.map((certificate) => factsOf(file, certificate));
  if (json) {
    io.stdout.write(`${jsonText([...shown(cert, chain), ...shown(ca, bundle)], 2)}\n`);
    return 0;
  }
  const roots = rootsOf(chain, bundle);
  const others = bundle.length - roots.length;
  const more = others === 0 ? '' : `\n${ca}: ${others} more, by none of which this certificate is signed (--json)\n`;
  io.stdout.write([...shown(cert, chain), ...shown(ca, roots)].map(describe).join('\n') + more);
  return 0;
}

function factsOf(file: string, certificate: X509Certificate): Shown {
  return {
    file,
    subject: oneLine(certificate.subject),
    names: namesOf(certificate),
    issuer: oneLine(certificate.issuer),
    ca: certificate.ca,
    validFrom: new Date(certificate.validFrom).toISOString(),
    validTo: new Date(expiryOf(certificate)).toISOString(),
    daysLeft: daysLeft(certificate, Date.now()),
    fingerprint256: certificate.fingerprint256,
  };
}

function describe(certificate: Shown): string {
  const { daysLeft: left } = certificate;
  const lines = [
    ['subject', certificate.subject],
    ['names', certificate.names.join(', ') || 'none'],
    ['issuer', certificate.issuer],
    ['valid', `${certificate.validFrom} to ${certificate.validTo}, ${left < 0 ? 'EXPIRED' : `${left} days left`}`],
    ['SHA-256', certificate.fingerprint256],
  ] as const;
  const kind = certificate.ca ? 'certificate authority' : 'server certificate';
  return `${certificate.file}: ${kind}\n${lines.map(([key, text]) => `  ${key.padEnd(8)} ${text}\n`).join('')}`;
}

async function readCertificates(key: string, file: string) {
  try {
    return readBundle(await readFile(file, 'utf8'));
  } catch (cause) {
    const remedy = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? '; `iotlab-broker certs create` makes one' : '';
    throw new UsageError(`${key}: ${file}: ${whyNoFile(cause)}${remedy}`, { cause });
  }
}

export const command = defineCommand({
  name: 'certs',
  summary: 'make or show the certificates of the broker',
  about: `
create signs a server certificate with the development CA that is there, or with a new one. The files are those of
listener.cert, listener.key and listener.ca; the CA's key is kept beside the CA. A running broker takes the new
certificate up by itself, without dropping a connection.`,
  examples: ['iotlab-broker certs create --force --name broker.example.org --name 192.0.2.7'],
  does: {
    create: action({
      summary: 'make a server certificate and its key',
      options: {
        key: {
          type: 'string',
          value: 'ec|rsa|both',
          help: 'ec (P-256) by default; rsa (2048 bits) for clients without elliptic curves; both for all, ec for most',
        },
        name: {
          type: 'string',
          multiple: true,
          value: 'NAME',
          help: 'one more host name or IP address for the certificate; may be given several times',
        },
        days: {
          type: 'string',
          value: 'N',
          help: `how long the certificate is valid; ${serverDays} by default, and never longer than the CA`,
        },
        force: {
          type: 'boolean',
          help: "replace the server's certificate and key; the CA is never replaced",
        },
      },
      run: ({ values, config }, io) => create(values, config, io),
    }),
    show: action({
      summary: "print the server's certificates and the CA's: names, validity, fingerprint, days left",
      options: { json: { type: 'boolean', help: 'JSON' } },
      run: async ({ values, config }, io) =>
        show((await loadConfig(config, io.env)).listener, values.json === true, io),
    }),
  },
});
