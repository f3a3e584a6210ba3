import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import type { Config } from '../config/config.js';
import { UsageError, whyNoFile } from '../errors.js';
import { pemsOf } from '../listener/identities.js';
import { haproxyConfig, type ProxyFiles } from './haproxy-config.js';

/** Writes what HAProxy needs into `cluster.proxy.folder`. The list of mail addresses that is there stays. */
export async function writeProxyFiles(
  config: Config,
  files: ProxyFiles,
  certificate: string,
  processors: number,
): Promise<void> {
  const { folder } = config.cluster.proxy;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await replace(files.certificate, certificate);
    await replace(files.config, haproxyConfig(config, files, processors));
    await (await open(files.mails, 'a', 0o600)).close();
  } catch (cause) {
    throw new UsageError(
      `cluster.proxy.folder: ${folder}: ${whyNoFile(cause)}. Set one that the broker's user may write.`,
      {
        cause,
      },
    );
  }
}

/** What clients are shown, from the files: HAProxy wants certificate and key in one, and one of each. */
export async function frontCertificate({ listener: { cert, key } }: Pick<Config, 'listener'>): Promise<string> {
  const [certPem, keyPem] = await Promise.all([readPem('listener.cert', cert), readPem('listener.key', key)]);
  return frontPem({ certPem, keyPem });
}

export function frontPem({ certPem, keyPem }: { readonly certPem: string; readonly keyPem: string }): string {
  const { cert, key } = pemsOf(certPem, keyPem);
  return `${[cert].flat()[0]!.trimEnd()}\n${[key].flat()[0]!.trimEnd()}\n`;
}

async function readPem(name: string, file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new UsageError(`${name}: ${file}: ${whyNoFile(cause)}. \`iotlab-broker certs create\` makes one.`, { cause });
  }
}

async function replace(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
