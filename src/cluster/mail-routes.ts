import { readFile, rename, writeFile } from 'node:fs/promises';
import type { Log } from '../observe/log.js';
import type { ProxyFiles } from './haproxy-config.js';
import { askProxy } from './proxy-socket.js';

/** What can be written into HAProxy's list, and into a command to it, as it is. */
const plain = /^[a-z0-9][a-z0-9._%+'~=-]*(@[a-z0-9.-]+)?$/;
const LONGEST = 254;

/**
 * A client that logs in with its mail address is handed to the shard of the address, which is seldom that of the login.
 * The broker that finds out, once the password was right, tells HAProxy which login it stands for: the client's next
 * attempt comes to the right one. The list is kept in a file for HAProxy's next start.
 */
export class MailRoutes {
  readonly #files: Pick<ProxyFiles, 'mails' | 'socket'>;
  readonly #log: Log;
  #working: Promise<void> = Promise.resolve();

  constructor(files: Pick<ProxyFiles, 'mails' | 'socket'>, log: Log) {
    this.#files = files;
    this.#log = log;
  }

  /** Resolves when it is known, or could not be made known; the log says so then. */
  learn(username: string, login: string): Promise<void> {
    const [mail, target] = [username.toLowerCase(), login.toLowerCase()];
    if (mail === target) return Promise.resolve();
    if (mail.length > LONGEST || !plain.test(mail) || !plain.test(target)) {
      this.#log.warn({ login }, 'HAProxy cannot be told of a user name with such characters: log in with the login');
      return Promise.resolve();
    }
    this.#working = this.#working.then(() => this.#tell(mail, target));
    return this.#working;
  }

  async #tell(mail: string, login: string): Promise<void> {
    const { mails, socket } = this.#files;
    try {
      const known = await readFile(mails, 'utf8').catch(() => '');
      const others = known.split('\n').filter((line) => line !== '' && !line.startsWith(`${mail} `));
      await writeFile(`${mails}.new`, [...others, `${mail} ${login}\n`].join('\n'), { mode: 0o600 });
      await rename(`${mails}.new`, mails);
      await askProxy(socket, `del map ${mails} ${mail}; add map ${mails} ${mail} ${login}`);
      this.#log.info({ mail, login }, 'HAProxy knows now which login the mail address stands for');
    } catch (err) {
      this.#log.warn({ err, login, socket }, 'HAProxy could not be told which login a mail address stands for');
    }
  }
}
