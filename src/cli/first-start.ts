import { dirname } from 'node:path';
import type { Config } from '../config/config.js';
import { ensureFirstUser } from '../credentials/first-user.js';
import { readUsersFile } from '../credentials/users-file.js';
import { ensureCertificates } from '../listener/certificates.js';
import type { Log } from '../observe/log.js';

export interface FirstStart {
  /** A login to show in the commands to try; null when only the backend knows. */
  readonly login: string | null;
  /** The password of the user that was made just now; null when there were users already. */
  readonly password: string | null;
}

/** Makes what a fresh installation lacks: certificates, and with the file backend a first user. */
export async function prepareFirstStart({ listener, credentials }: Config, log: Log): Promise<FirstStart> {
  const { created } = await ensureCertificates(listener);
  if (created) log.info({ folder: dirname(listener.cert), ca: listener.ca }, 'made a development CA and certificate');
  if (credentials.backend !== 'file') return { login: null, password: null };
  const { path } = credentials.file;
  const user = await ensureFirstUser(path, credentials.loginPattern);
  if (user !== null) {
    log.info({ login: user.login, file: path }, 'made a first user');
    return user;
  }
  const [first] = (await readUsersFile(path))?.users.keys() ?? [];
  return { login: first ?? null, password: null };
}
