import { X509Certificate } from 'node:crypto';
import { access, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { UsageError, whyNoFile } from '../errors.js';
import { leadsTo, namesOf, readBundle } from './bundle.js';
import {
  type Authority,
  authorityOf,
  type CertificateFiles,
  dayMs,
  developmentAuthority,
  isName,
  makeAuthority,
  serverDays,
  serverNames,
} from './certificates.js';
import { type KeyType, type Pair, readPair } from './issue.js';

/**
 * Makes a development CA and a server certificate where there are none. A certificate of that CA which lacks one of
 * `names` is made anew with it, so that clients need nothing new; no other file is ever overwritten. Throws `UsageError`
 * when only some of the files are there.
 */
export async function ensureCertificates(
  files: CertificateFiles,
  names: readonly string[] = [],
): Promise<{ created: boolean }> {
  const [cert, key] = [await exists(files.cert), await exists(files.key)];
  if (cert && key) return { created: await addNames(files, names) };
  if (cert !== key) {
    const [there, missing] = cert
      ? [`listener.cert (${files.cert})`, `listener.key (${files.key})`]
      : [`listener.key (${files.key})`, `listener.cert (${files.cert})`];
    const { pair } = await readAuthority(files).catch(() => ({ pair: null }));
    const own = pair !== null && isDevelopment(pair.certificate);
    const remake = own ? ', or make both anew: iotlab-broker certs create --force' : '.';
    throw new UsageError(`${there} is there but ${missing} is not. Put the missing file there${remake}`);
  }
  try {
    await issueInto(files, ['ec'], serverNames(names), serverDays);
  } catch (cause) {
    if (!(cause instanceof UsageError)) throw cause;
    throw new UsageError(`listener.cert: ${files.cert} is not there, and none can be made: ${cause.message}`, {
      cause,
    });
  }
  return { created: true };
}

/**
 * What `certs create` does: a server certificate under the CA that is there (clients keep working) or a new one.
 * `force` replaces the server's certificate and key, never the CA. Throws `UsageError`.
 */
export async function createCertificates(options: {
  readonly files: CertificateFiles;
  /** A certificate is made for each. */
  readonly keyTypes?: readonly KeyType[];
  /** In addition to `serverNames()`. */
  readonly names?: readonly string[];
  readonly days?: number;
  readonly force?: boolean;
}): Promise<{ authorityCreated: boolean }> {
  const { files, keyTypes = ['ec'], names = [], days = serverDays, force = false } = options;
  const wrong = names.find((name) => !isName(name));
  if (wrong !== undefined) throw new UsageError(`--name ${wrong}: neither a host name nor an IP address.`);
  for (const file of [files.cert, files.key]) {
    if (!force && (await exists(file))) {
      throw new UsageError(
        `${file} is there already. --force replaces the server's certificate and key; the CA stays.`,
      );
    }
  }
  return { authorityCreated: await issueInto(files, keyTypes, serverNames(names), days) };
}

/** True when the certificate was one of our own CA's, and lacked one of the names. */
async function addNames(files: CertificateFiles, names: readonly string[]): Promise<boolean> {
  if (names.length === 0) return false;
  try {
    const servers = readBundle(await readFile(files.cert, 'utf8'));
    const own = servers.flatMap(namesOf);
    if (servers.every((server) => names.every((name) => namesOf(server).includes(name)))) return false;
    const { pair } = await readAuthority(files);
    const ours = servers.every((server) => leadsTo([server], [pair.certificate]) && !server.ca);
    if (!isDevelopment(pair.certificate) || !ours) return false;
    const keyTypes = servers.map(({ publicKey }) => (publicKey.asymmetricKeyType === 'rsa' ? 'rsa' : 'ec'));
    await issueInto(files, keyTypes, serverNames([...own, ...names]), serverDays);
    return true;
  } catch {
    // Not ours to change. Whether it is any good is seen when it is used.
    return false;
  }
}

/** The CA's private key stays beside its certificate, so that the server's can be renewed under the same CA. */
export function authorityKeyFile(ca: string): string {
  const extension = extname(ca);
  return extension === '.key' ? `${ca}.key` : join(dirname(ca), `${basename(ca, extension)}.key`);
}

const authorityFile = ({ ca, cert }: CertificateFiles) => (ca === '' ? join(dirname(cert), 'iot-lab-ca.pem') : ca);

async function issueInto(
  files: CertificateFiles,
  keyTypes: readonly KeyType[],
  names: readonly string[],
  days: number,
): Promise<boolean> {
  const caFile = authorityFile(files);
  const found = await exists(caFile);
  const authority = found ? await openAuthority(files) : makeAuthority({ keyType: keyTypes[0]! });
  const end = Math.min(Date.now() + days * dayMs, Date.parse(new X509Certificate(authority.cert).validTo));
  const servers = keyTypes.map((keyType) => authority.issue({ names, keyType, notAfter: new Date(end) }));
  const textOf = (part: 'key' | 'cert') => servers.map((server) => server[part]).join('');
  if (!found) {
    await writeFile(authorityKeyFile(caFile), authority.key, 0o600, files);
    await writeFile(caFile, authority.cert, 0o644, files);
  }
  await writeFile(files.key, textOf('key'), 0o600, files);
  await writeFile(files.cert, textOf('cert'), 0o644, files);
  return !found;
}

async function openAuthority(files: CertificateFiles): Promise<Authority> {
  const { pair, caFile } = await readAuthority(files);
  if (Date.parse(pair.certificate.validTo) < Date.now()) {
    throw new UsageError(`the CA in ${caFile} has expired. ${remedy(files, pair.certificate, caFile)}`);
  }
  return authorityOf(pair);
}

async function readAuthority(files: CertificateFiles): Promise<{ readonly pair: Pair; readonly caFile: string }> {
  const caFile = authorityFile(files);
  const caKeyFile = authorityKeyFile(caFile);
  let certificate: X509Certificate | null = null;
  try {
    const caPem = await readFile(caFile, 'utf8');
    certificate = readBundle(caPem)[0]!;
    if (!(await exists(caKeyFile))) {
      throw new Error(
        isDevelopment(certificate) ? `its private key (${caKeyFile}) is not there` : 'it has no private key here',
      );
    }
    const pair = readPair(caPem, await readFile(caKeyFile, 'utf8'));
    if (!pair.certificate.checkPrivateKey(pair.key)) throw new Error(`the key (${caKeyFile}) does not belong to it`);
    return { pair, caFile };
  } catch (cause) {
    throw new UsageError(
      `the CA in ${caFile} (listener.ca) cannot sign one: ${whyNoFile(cause)}. ${remedy(files, certificate, caFile)}`,
      { cause },
    );
  }
}

/** Files of somebody else's, such as the system's own bundle, are not to be touched. */
function remedy(files: CertificateFiles, authority: X509Certificate | null, caFile: string): string {
  if (authority === null || !isDevelopment(authority)) return putYours(files);
  return `It is a development CA: without ${caFile} a new one is made, which all clients then need. Or: ${putYours(files)}`;
}

const putYours = ({ cert, key }: CertificateFiles) =>
  `Put your certificate at ${cert} (listener.cert) and its key at ${key} (listener.key).`;

const isDevelopment = ({ subject }: X509Certificate): boolean => subject === `CN=${developmentAuthority}`;

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

/** Whole or not at all, and never readable by others for a moment: the mode is the file's from its creation. */
async function writeFile(file: string, text: string, mode: number, files: CertificateFiles): Promise<void> {
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
    throw new UsageError(
      `${file} cannot be written (${whyNoFile(cause)}). Make its folder writable, or: ${putYours(files)}`,
      { cause },
    );
  }
}
