import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Config } from '../config/config.js';
import { UsageError, whyNoFile } from '../errors.js';
import { makeAuthority } from '../listener/certificates.js';

/**
 * Makes what HAProxy shows to brokers on other machines, and the CA by which they know it. The CA's key is kept nowhere:
 * whoever had another certificate of it could tell the brokers that a client is where it is not.
 */
export async function createProxyCertificate({ listener, cluster }: Config, days: number): Promise<readonly string[]> {
  const [ca, certificate] = [listener.proxy.ca, cluster.proxy.certificate];
  if (ca === '') throw new UsageError('listener.proxy.ca: set it to where the CA goes.');
  if (certificate === '') throw new UsageError('cluster.proxy.certificate: set it to where the certificate goes.');
  const notAfter = new Date(Date.now() + days * 86_400_000);
  const authority = makeAuthority({ name: 'iotlab-broker proxies', notAfter });
  const { cert, key } = authority.issue({ names: ['haproxy'], purpose: 'proxy', notAfter });
  await writeNew('cluster.proxy.certificate', certificate, cert + key, 0o600);
  await writeNew('listener.proxy.ca', ca, authority.cert, 0o644);
  return [certificate, ca];
}

async function writeNew(name: string, file: string, text: string, mode: number): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text, { mode, flag: 'wx' });
  } catch (cause) {
    const there = (cause as NodeJS.ErrnoException).code === 'EEXIST';
    const why = there ? 'is there already. Remove both files to have new ones made' : whyNoFile(cause);
    throw new UsageError(`${name}: ${file} ${why}.`, { cause });
  }
}
