import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { eventually } from './deadline.js';
import { freePort } from './ports.js';
import { passwordOf, type Target } from './raw-client.js';

/**
 * Debian's mosquitto, set up as the service sets up its own: TLS only, a password file, an ACL. It is the yardstick:
 * `TEST_TARGET=mosquitto npm test -- conformance` tells whether a test asks for what the original does. Where the
 * original falls short on purpose of ours, such a run fails and should.
 */
export async function startMosquitto(
  users: readonly string[],
  acl: readonly string[],
  queuedMessages = 1000,
): Promise<Mosquitto> {
  const folder = await mkdtemp(join(tmpdir(), 'iotlab-mosquitto-'));
  const run = (command: string, ...args: string[]) => execFileSync(command, args, { cwd: folder, stdio: 'ignore' });
  const subject = '/CN=localhost';
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'];
  run('openssl', 'req', '-x509', ...curve, '-nodes', '-days', '2', '-keyout', 'key', '-out', 'pem', '-subj', subject);
  await writeFile(join(folder, 'passwd'), users.map((login) => `${login}:${passwordOf(login)}\n`).join(''));
  run('mosquitto_passwd', '-U', 'passwd');
  await writeFile(join(folder, 'acl'), acl.map((line) => `${line}\n`).join(''));
  const port = await freePort();
  const files = ['password_file passwd', 'acl_file acl', `listener ${port} 127.0.0.1`];
  const certificates = [
    'cafile pem',
    'certfile pem',
    'keyfile key',
    'user root',
    'allow_anonymous false',
    `max_queued_messages ${queuedMessages}`,
  ];
  const lines = [...files, ...certificates].map((line) => line.replace(/^(\w*file) /, `$1 ${folder}/`));
  await writeFile(join(folder, 'conf'), `${lines.join('\n')}\n`);
  const child = spawn('mosquitto', ['-c', join(folder, 'conf')], { stdio: 'ignore' });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  // It listens before it handles signals, and only then answers: a SIGHUP between the two would be its end.
  await eventually(20_000, 'mosquitto answers', () => answersTls(port));
  return {
    host: '127.0.0.1',
    port,
    folder,
    caFile: join(folder, 'pem'),
    ca: await readFile(join(folder, 'pem'), 'utf8'),
    reload: () => void child.kill('SIGHUP'),
    async stop() {
      child.kill();
      await gone;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface Mosquitto extends Target {
  readonly folder: string;
  readonly caFile: string;
  /** Reads its files again. */
  reload(): void;
  stop(): Promise<void>;
}

const answersTls = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });

export const canConnect = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
