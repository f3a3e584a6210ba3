import { X509Certificate } from 'node:crypto';
import { access, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { basename, dirname, extname, join } from 'node:path';
import { UsageError } from '../errors.js';
import { issueAuthority, issueServer, type KeyType, type Pair, readPair, toPem, type Validity } from './issue.js';

const dayMs = 86_400_000;
const authorityDays = 3650;
/** The longest that clients which follow the CA/Browser Forum's older rule accept from a private authority. */
export const serverDays = 825;

/** PEM, each. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

/** Valid from yesterday on unless told otherwise, so that a client whose clock is slow accepts the certificate too. */
export interface IssueRequest extends Partial<Validity> {
  /** DNS names and IP addresses; the defaults are those of `serverNames()`. */
  readonly names?: readonly string[];
  readonly keyType?: KeyType;
}

export interface AuthorityRequest extends Partial<Validity> {
  readonly name?: string;
  readonly keyType?: KeyType;
}

/** A certificate authority in memory. */
export interface Authority extends Issued {
  issue(request?: IssueRequest): Issued;
}

/** Where the broker's certificates are: `listener.cert`, `listener.key` and `listener.ca` of the configuration. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** Under which names clients of the testbed and of a laptop reach the broker. */
export function serverNames(extra: readonly string[] = []): string[] {
  const testbed = ['mqtt.iot-lab.info', 'mqtt4.iot-lab.info', 'mqtt6.iot-lab.info'];
  const own = hostname().toLowerCase();
  const names = ['localhost', '127.0.0.1', '::1', ...testbed, ...(isName(own) ? [own] : []), ...extra];
  return [...new Set(names)];
}

function isName(name: string): boolean {
  if (isIP(name) !== 0) return !name.includes('%');
  return (
    name.length <= 253 &&
    /^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i.test(name)
  );
}

/** A new authority; nothing is written. */
export function makeAuthority(options: AuthorityRequest = {}): Authority {
  const { name = 'iotlab-broker development CA', keyType = 'ec' } = options;
  return authorityOf(issueAuthority(name, keyType, validFor(authorityDays, options)));
}

function authorityOf(pair: Pair): Authority {
  return {
    ...toPem(pair),
    issue(request = {}) {
      const { names = serverNames(), keyType = 'ec' } = request;
      return toPem(issueServer(pair, 'iotlab-broker', names, keyType, validFor(serverDays, request)));
    },
  };
}

function validFor(days: number, { notBefore, notAfter }: Partial<Validity>): Validity {
  return {
    notBefore: notBefore ?? new Date(Date.now() - dayMs),
    notAfter: notAfter ?? new Date(Date.now() + days * dayMs),
  };
}

/**
 * Makes a development CA and a server certificate where there are none. Does nothing when certificate and key are
 * there, and never overwrites a file. Throws `UsageError` when only some of the files are there.
 */
export async function ensureCertificates(files: CertificateFiles): Promise<{ created: boolean }> {
  const [cert, key] = [await exists(files.cert), await exists(files.key)];
  if (cert && key) return { created: false };
  if (cert !== key) {
    const [there, missing] = cert
      ? [`listener.cert (${files.cert})`, `listener.key (${files.key})`]
      : [`listener.key (${files.key})`, `listener.cert (${files.cert})`];
    throw new UsageError(
      `${there} is there but ${missing} is not. Put the missing file there, or move the other one away and both are made.`,
    );
  }
  await issueInto(files, 'ec', serverNames(), serverDays);
  return { created: true };
}

/**
 * What `certs create` does: a server certificate under the CA that is there (clients keep working) or a new one.
 * `force` replaces the server's certificate and key, never the CA. Throws `UsageError`.
 */
export async function createCertificates(options: {
  readonly files: CertificateFiles;
  readonly keyType?: KeyType;
  /** In addition to `serverNames()`. */
  readonly names?: readonly string[];
  readonly days?: number;
  readonly force?: boolean;
}): Promise<{ authorityCreated: boolean }> {
  const { files, keyType = 'ec', names = [], days = serverDays, force = false } = options;
  const wrong = names.find((name) => !isName(name));
  if (wrong !== undefined) throw new UsageError(`--name ${wrong}: neither a host name nor an IP address.`);
  for (const file of [files.cert, files.key]) {
    if (!force && (await exists(file))) {
      throw new UsageError(
        `${file} is there already. --force replaces the server's certificate and key; the CA stays.`,
      );
    }
  }
  return { authorityCreated: await issueInto(files, keyType, serverNames(names), days) };
}

/** The CA's private key stays beside its certificate, so that the server's can be renewed under the same CA. */
export function authorityKeyFile(ca: string): string {
  const extension = extname(ca);
  return extension === '.key' ? `${ca}.key` : join(dirname(ca), `${basename(ca, extension)}.key`);
}

async function issueInto(
  files: CertificateFiles,
  keyType: KeyType,
  names: readonly string[],
  days: number,
): Promise<boolean> {
  const caFile = files.ca === '' ? join(dirname(files.cert), 'iot-lab-ca.pem') : files.ca;
  const caKeyFile = authorityKeyFile(caFile);
  const found = await exists(caFile);
  const authority = found ? await openAuthority(caFile, caKeyFile) : makeAuthority({ keyType });
  const end = Math.min(Date.now() + days * dayMs, Date.parse(new X509Certificate(authority.cert).validTo));
  const server = authority.issue({ names, keyType, notAfter: new Date(end) });
  if (!found) {
    await writeFile(caKeyFile, authority.key, 0o600);
    await writeFile(caFile, authority.cert, 0o644);
  }
  await writeFile(files.key, server.key, 0o600);
  await writeFile(files.cert, server.cert, 0o644);
  return !found;
}

async function openAuthority(caFile: string, caKeyFile: string): Promise<Authority> {
  const remedy = `Put a certificate and key of that CA in place, or move ${caFile} away and a new development CA is made.`;
  if (!(await exists(caKeyFile))) {
    throw new UsageError(`${caFile} is there, but not its private key (${caKeyFile}). ${remedy}`);
  }
  let pair: Pair;
  try {
    pair = readPair(await readFile(caFile, 'utf8'), await readFile(caKeyFile, 'utf8'));
    if (!pair.certificate.checkPrivateKey(pair.key)) throw new Error('the key does not belong to the certificate');
  } catch (cause) {
    throw new UsageError(`${caFile} and ${caKeyFile}: ${(cause as Error).message}. ${remedy}`, { cause });
  }
  if (Date.parse(pair.certificate.validTo) < Date.now()) {
    throw new UsageError(
      `${caFile} has expired. Move it away and a new development CA is made; clients need the new one.`,
    );
  }
  return authorityOf(pair);
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/** Whole or not at all, and never readable by others for a moment: the mode is the file's from its creation. */
async function writeFile(file: string, text: string, mode: number): Promise<void> {
  const temporary = `${file}.${process.pid}.new`;
  try {
    await mkdir(dirname(file), { recursive: true });
    await rm(temporary, { force: true });
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {});
    throw new UsageError(`${file} cannot be written: ${(cause as Error).message}. Is the folder writable?`, { cause });
  }
}
