import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import tls from 'node:tls';
import { proxyFiles } from '../../src/cluster/haproxy-config.js';
import { writeProxyFiles } from '../../src/cluster/write-files.js';
import type { Config } from '../../src/config/config.js';
import { type DeepPartial, defaultConfig } from '../../src/config/defaults.js';
import { makeAuthority } from '../../src/listener/certificates.js';
import { shardOf } from '../../src/shard.js';
import { fakeShards } from './fake-shards.js';
import { checkHaproxy, startHaproxy } from './haproxy.js';
import * as mqtt from './packets.js';
import { freePort } from './ports.js';
import { tempFolder } from './temp-folder.js';

export const SHARDS = 4;

/** A real HAProxy with the configuration that is written for four shards, and something behind it that says which it is. */
export async function front(t: TestContext, more: DeepPartial<Config> = {}) {
  const folder = await tempFolder(t);
  const authority = makeAuthority();
  const { cert, key } = authority.issue();
  const port = await freePort();
  const listener = { host: '127.0.0.1', port, cert: join(folder, 'server.pem'), key: join(folder, 'server.key') };
  await writeFile(listener.cert, cert);
  await writeFile(listener.key, key);
  const config = defaultConfig({
    ...more,
    listener,
    cluster: { shards: SHARDS, proxy: { folder, threads: 1 } },
  });
  const files = proxyFiles(folder);
  await writeProxyFiles(config, files, cert + key, 2);
  assert.equal(await checkHaproxy(files.config), '', 'haproxy -c has nothing to say');
  const paths = Array.from({ length: SHARDS }, (_, shard) => files.shard(shard));
  const came = await fakeShards(t, paths);
  const haproxy = await startHaproxy(t, folder, await readFile(files.config, 'utf8'), port);

  let session: Buffer | undefined;
  /** Opens a connection; later ones resume the session of an earlier one. */
  async function open(): Promise<tls.TLSSocket> {
    const socket = tls.connect({ port, servername: 'localhost', ca: authority.cert, session });
    t.after(() => socket.destroy());
    socket.on('error', () => {}).on('session', (it) => (session = it));
    await once(socket, 'secureConnect');
    socket.setNoDelay(true);
    return socket;
  }
  /** Sends these, and says which shard answered; null when the connection was closed. */
  async function askedBy(...writes: readonly Uint8Array[]): Promise<number | null> {
    const socket = await open();
    for (const bytes of writes) {
      socket.write(bytes);
      if (writes.length > 1) await new Promise(setImmediate);
    }
    const answer = await Promise.race([
      once(socket, 'data', { signal: AbortSignal.timeout(8_000) }),
      once(socket, 'close').then(() => null),
    ]);
    socket.destroy();
    return answer === null ? null : (answer[0] as Buffer)[3]!;
  }
  return { config, files, came, haproxy, open, askedBy, port };
}

export const as = (login: string, more: mqtt.ConnectOptions = {}) =>
  mqtt.connect({ login, password: 'secret', ...more });
export const home = (login: string) => shardOf(login, SHARDS);
