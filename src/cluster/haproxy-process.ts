import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { delimiter, join } from 'node:path';
import type { Clock } from '../clock.js';
import { UsageError } from '../errors.js';
import type { Log } from '../observe/log.js';
import { Child } from './child.js';
import type { ProxyFiles } from './haproxy-config.js';
import { askProxy } from './proxy-socket.js';

const SERVING_PERIOD_MS = 20;

/** HAProxy, kept running with the files that were written for it. */
export interface ProxyProcess {
  readonly pid: number | null;
  /** It ends soon, perhaps by itself: it is not started again. */
  letGo(): void;
  /** Ends it, and every connection with it. */
  stop(): Promise<void>;
  /** Shows clients another certificate from now on; who is connected stays. */
  useCertificate(pem: string): Promise<void>;
}

/** Null when HAProxy is not installed: the log says what to do. */
export async function startProxy(options: {
  readonly files: ProxyFiles;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
  readonly clock: Clock;
}): Promise<ProxyProcess | null> {
  const { files, log, clock } = options;
  const env = { ...options.env, PATH: `${options.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/usr/local/sbin` };
  const haproxy = find('haproxy', env.PATH);
  if (haproxy === null) {
    const config = files.config;
    log.warn(
      { config },
      'HAProxy is not installed (Debian: apt-get install haproxy): until it runs, nobody can connect',
    );
    return null;
  }
  await check(haproxy, files.config, env);
  // Of util-linux: whatever happens to this process, HAProxy ends with it, and its port is free for the next one.
  const leash = find('setpriv', env.PATH);
  const command = [...(leash === null ? [] : [leash, '--pdeathsig', 'TERM']), haproxy, '-db', '-f', files.config];
  const child = new Child({
    ...{ name: 'HAProxy', command: command[0]!, args: command.slice(1), stopTimeoutMs: 2_000, log, clock },
    spawn: { env, stdio: ['ignore', 'inherit', 'inherit'] },
    onSpawned: () => {},
    onExit: () => {},
  });
  await child.start(answering(files.socket, clock));
  log.info({ config: files.config, pid: child.pid }, 'HAProxy serves');
  return {
    get pid() {
      return child.pid;
    },
    letGo: () => child.letGo(),
    stop: () => child.stop(),
    async useCertificate(pem) {
      await writeFile(`${files.certificate}.new`, pem, { mode: 0o600 });
      await rename(`${files.certificate}.new`, files.certificate);
      const name = files.certificate;
      const set = await askProxy(files.socket, `set ssl cert ${name} <<\n${pem.trim()}\n`);
      const committed = await askProxy(files.socket, `commit ssl cert ${name}`);
      if (!/success/i.test(committed)) throw new Error(`HAProxy refuses the certificate: ${set} ${committed}`);
      log.info({ file: name }, 'HAProxy shows the new certificate');
    },
  };
}

function find(program: string, path: string): string | null {
  const folders = path.split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, program)).find((file) => existsSync(file)) ?? null;
}

async function check(haproxy: string, file: string, env: NodeJS.ProcessEnv): Promise<void> {
  const said = await new Promise<string | null>((resolve) => {
    execFile(haproxy, ['-c', '-q', '-f', file], { env, timeout: 10_000 }, (error, stdout, stderr) => {
      resolve(error === null ? null : `${stdout}${stderr}`.trim());
    });
  });
  if (said === null) return;
  throw new UsageError(`HAProxy refuses the configuration that was made for it (${file}):\n${said}`, {
    code: 'E_HAPROXY',
  });
}

/** Its socket is there before its ports are: what is asked over it is answered when they are too. */
function answering(path: string, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      const socket = net.connect({ path });
      socket.once('connect', () => {
        socket.destroy();
        resolve();
      });
      socket.once('error', () => clock.after(SERVING_PERIOD_MS, look));
    };
    look();
  });
}
