import { readFile } from 'node:fs/promises';
import type { ListenerConfig } from '../config/config.js';
import { loadConfig } from '../config/load.js';
import { UsageError } from '../errors.js';
import { daysLeft, expiryOf, namesOf, oneLine, readBundle } from '../listener/bundle.js';
import { createCertificates, serverDays } from '../listener/certificates.js';
import type { Command, CommandIo } from './command.js';
import { expectArguments, parseOptions } from './options.js';

const help = `
Usage: iotlab-broker certs create [--key ec|rsa] [--name NAME]… [--days N] [--force] [--config FILE]
       iotlab-broker certs show [--json] [--config FILE]

  create  make a server certificate, signed by the development CA that is there, or by a new one. The files are those
          of listener.cert, listener.key and listener.ca; the CA's key is kept beside the CA.
  show    print the server's certificates and the CA's: names, validity, fingerprint, days left

  --key ec|rsa   ec (P-256) by default; rsa (2048 bits) for clients without elliptic curves
  --name NAME    one more host name or IP address for the certificate; may be given several times
  --days N       how long the server certificate is valid; ${serverDays} by default, and never longer than the CA
  --force        replace the server's certificate and key. The CA is never replaced
  --json         with show: JSON
  --config FILE  the configuration file

A running broker takes the new certificate up by itself, without dropping a connection.

Example: iotlab-broker certs create --force --name broker.example.org --name 192.0.2.7
`.trimStart();

const actions = ['create', 'show'];

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const { values, positionals } = parseOptions('certs', args, {
    key: { type: 'string' },
    name: { type: 'string', multiple: true },
    days: { type: 'string' },
    force: { type: 'boolean' },
    json: { type: 'boolean' },
  });
  expectArguments('certs', positionals, [actions.join('|')]);
  const action = positionals[0]!;
  if (!actions.includes(action)) throw new UsageError(`certs: "${action}" is none of ${actions.join(', ')}`);
  const { listener } = await loadConfig(values.config, io.env);
  if (action === 'show') return show(listener, values.json === true, io);

  const { key = 'ec', name = [], days = String(serverDays), force = false } = values;
  if (key !== 'ec' && key !== 'rsa') throw new UsageError(`certs: --key ${key} is neither ec nor rsa`);
  if (!/^[1-9]\d{0,4}$/.test(days)) throw new UsageError(`certs: --days ${days} is not a number from 1 to 99999`);
  const files = { cert: listener.cert, key: listener.key, ca: listener.ca };
  const { authorityCreated } = await createCertificates({
    files,
    keyType: key,
    names: name,
    days: Number(days),
    force,
  });
  io.stdout.write(`Server certificate: ${files.cert}\nPrivate key:        ${files.key}\n`);
  io.stdout.write(`CA for clients:     ${files.ca}${authorityCreated ? ' (new: hand it to the clients)' : ''}\n`);
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
  const now = Date.now();
  const shown: Shown[] = [];
  for (const [key, file] of [
    ['listener.cert', listener.cert],
    ['listener.ca', listener.ca],
  ] as const) {
    if (file === '') continue;
    for (const certificate of await readCertificates(key, file)) {
      shown.push({
        file,
        subject: oneLine(certificate.subject),
        names: namesOf(certificate),
        issuer: oneLine(certificate.issuer),
        ca: certificate.ca,
        validFrom: new Date(certificate.validFrom).toISOString(),
        validTo: new Date(expiryOf(certificate)).toISOString(),
        daysLeft: daysLeft(certificate, now),
        fingerprint256: certificate.fingerprint256,
      });
    }
  }
  io.stdout.write(json ? `${JSON.stringify(shown, null, 2)}\n` : shown.map(describe).join('\n'));
  return 0;
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
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'no such file; `iotlab-broker certs create` makes one' : message;
    throw new UsageError(`${key}: ${file}: ${why}`, { cause });
  }
}

export const command: Command = {
  name: 'certs',
  summary: 'make or show the certificates of the broker',
  help,
  run,
};
