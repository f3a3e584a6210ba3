import { rm, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { dirname } from 'node:path';
import type { Config, LogConfig } from '../config/config.js';
import { ensureFirstUser } from '../credentials/first-user.js';
import { readUsersFile } from '../credentials/users-file.js';
import { ensureCertificates } from '../listener/certificate-files.js';
import type { Log } from '../observe/log.js';
import type { CommandIo } from './command.js';

export interface FirstStart {
  /** A login to show in the commands to try; null when only the backend knows. */
  readonly login: string | null;
  /** The password of the user that was made just now; null when there were users already. */
  readonly password: string | null;
}

/**
 * Where a person reads along: a terminal on which there is more than JSON. Null when there is none, as in a service;
 * what only a person should see goes nowhere else.
 */
export function terminalOf({ stdout, stderr }: CommandIo, { format }: LogConfig): CommandIo['stdout'] | null {
  if (stdout.isTTY === true && format !== 'json') return stdout;
  return stderr.isTTY === true ? stderr : null;
}

/**
 * Makes what a fresh installation lacks: certificates, and with the file backend a first user. Without a terminal the
 * password is written into a file, at once: nobody would ever hear it again.
 */
export async function prepareFirstStart(
  { listener, credentials, web }: Config,
  log: Log,
  hasTerminal: boolean,
): Promise<FirstStart> {
  // Behind a proxy that ends TLS on the same machine there is nothing to show a certificate for.
  const behind = listener.proxy.exclusive && listener.proxy.port === 0 && web.port === 0;
  const created = !behind && (await ensureCertificates(listener)).created;
  if (created) log.info({ folder: dirname(listener.cert), ca: listener.ca }, 'made a development CA and certificate');
  if (credentials.backend !== 'file') return { login: null, password: null };
  const { path } = credentials.file;
  const user = await ensureFirstUser(path, credentials.loginPattern);
  if (user === null) {
    const [first] = (await readUsersFile(path))?.users.keys() ?? [];
    return { login: first ?? null, password: null };
  }
  const { login } = user;
  if (hasTerminal) log.info({ login, file: path }, 'made a first user');
  else {
    const passwordFile = await writePassword(`${path}.first-password`, user.password);
    log.info(
      { login, file: path, passwordFile },
      'made a first user; delete the file with the password once it is read',
    );
  }
  return user;
}

/** For its owner alone, whatever was there before. */
async function writePassword(path: string, password: string): Promise<string> {
  await rm(path, { force: true });
  await writeFile(path, `${password}\n`, { mode: 0o600, flag: 'wx' });
  return path;
}

interface Welcome {
  /** Where the broker listens, as configured. */
  readonly host: string;
  readonly port: number;
  /** Where the pages are; null: nowhere. */
  readonly webPort: number | null;
  readonly caFile: string;
  /** Null: nobody that we know of. */
  readonly login: string | null;
  /** Only when it was made a moment ago: nobody can know it otherwise. */
  readonly password: string | null;
}

/** The commands of the documentation, ready to be pasted into a shell on this machine. */
export function welcomeLines({ host, port, webPort, caFile, login, password }: Welcome): string {
  const user = login ?? 'your_login';
  const common = [
    `--cafile ${quoteForShell(caFile)}`,
    `-h ${quoteForShell(reachableName(host))} -p ${port}`,
    `-u ${quoteForShell(user)} -P ${quoteForShell(password ?? '…your password…')}`,
  ].join(' ');
  const made = password === null ? [] : [`Made a first user: login ${user}, password ${password}`, ''];
  return [
    '',
    ...made,
    'To receive messages:',
    `  mosquitto_sub ${common} -t ${quoteForShell(`iotlab/${user}/#`)}`,
    'To send one:',
    `  mosquitto_pub ${common} -t ${quoteForShell(`iotlab/${user}/test`)} -m 'Hello, world!'`,
    ...(webPort === null ? [] : ['In a browser:', `  https://${urlHost(reachableName(host))}:${webPort}/me`]),
    '',
    '',
  ].join('\n');
}

const urlHost = (name: string) => (isIP(name) === 6 ? `[${name}]` : name);

/** One word for a POSIX shell, whatever is in it. */
export function quoteForShell(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Every address and the loopback addresses are `localhost`, which the development certificate names. */
function reachableName(host: string): string {
  const local = ['::', '0.0.0.0', '::1', 'localhost'].includes(host) || (isIP(host) === 4 && host.startsWith('127.'));
  return local ? 'localhost' : host;
}
