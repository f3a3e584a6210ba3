import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '../clock.js';
import { Fault, UsageError } from '../errors.js';
import { stateOf, watchFiles } from '../file-watch.js';
import type { Log } from '../observe/log.js';
import { AnswerTimes } from './answer-times.js';
import type { CredentialBackend, Verdict } from './backend.js';
import { type PasswordHash, unmatchedHash } from './password-hash.js';
import { asUsageError, readUsersFile, type StoredUser, type UsersFile } from './users-file.js';

/** What a session was accepted with. The hash is private, so that no log or inspection shows it. */
class FileProof {
  readonly #hashText: string;

  constructor(user: StoredUser) {
    this.#hashText = user.hashText;
  }

  isOf(user: StoredUser | undefined): boolean {
    return user?.hashText === this.#hashText;
  }
}

/** Hashing happens on libuv's four threads, which the store's writes need too: two full of hashes leave two. */
const hashesAtATime = 2;

/** An emptied file is more often one that is just being written than the wish to throw everybody out. */
const emptyGraceMs = 1_000;

/**
 * Users from a file of `login:hash` lines, read again when it changes. Throws `UsageError` when the file can't be read
 * at the start; later on, an unreadable file leaves the last good content in use.
 */
export async function openFileBackend(options: {
  readonly path: string;
  readonly log: Log;
  readonly clock: Clock;
}): Promise<CredentialBackend> {
  const { path, clock } = options;
  const log = options.log.child({ part: 'credentials', backend: 'file' });
  const listeners: ((login: string) => void)[] = [];
  const groupListeners: ((login: string, groups: readonly string[]) => void)[] = [];
  const decoyKey = randomBytes(32);
  const decoy = unmatchedHash();
  const times = new Map<string, AnswerTimes>();
  let state = await stateOf([path]);
  let unreadable = '';
  let emptySince: number | null = null;
  let closed = false;

  const first = await readUsersFile(path).catch((error) => {
    throw asUsageError(path, error);
  });
  if (first === null) {
    throw new UsageError(
      `users file ${path}: there is none (credentials.file.path); make one with: iotlab-broker user add LOGIN --file ${path}`,
      { code: 'E_USERS_FILE' },
    );
  }
  let users = first.users;
  let decoys: readonly PasswordHash[] = [...users.values()].map((user) => user.hash);
  tellProblems(first);
  if (users.size === 0) log.warn({ file: path }, 'the users file holds no user: nobody can log in');

  function tellProblems(file: UsersFile): void {
    for (const { line, problem } of file.problems) {
      log.warn({ file: path, line }, `line ignored: ${problem}`);
    }
  }

  /**
   * Whom an unknown login is taken for as far as time goes: some user of the file, always the same one for the same
   * login. So unknown logins take the times that known ones take, also in a file with hashes of several kinds.
   */
  function decoyFor(login: string): PasswordHash {
    const index = createHmac('sha256', decoyKey).update(login).digest().readUInt32BE(0) % Math.max(1, decoys.length);
    return decoys[index] ?? decoy;
  }

  function use(file: UsersFile, readState: string): void {
    const old = users;
    users = file.users;
    decoys = [...users.values()].map((user) => user.hash);
    state = readState;
    tellProblems(file);
    const revoked = [...old.values()].filter((user) => users.get(user.login)?.hashText !== user.hashText);
    log.info({ file: path, users: users.size, revoked: revoked.length }, 'users file read again');
    for (const { login } of revoked) for (const listener of listeners) listener(login);
    for (const { login, groups } of users.values()) {
      const before = old.get(login)?.groups;
      if (before === undefined || before.join() === groups.join()) continue;
      for (const listener of groupListeners) listener(login, groups);
    }
  }

  async function reload(): Promise<void> {
    const before = await stateOf([path]);
    let file: UsersFile | null;
    try {
      file = await readUsersFile(path);
    } catch (error) {
      return keep((error as NodeJS.ErrnoException).code ?? 'unknown error');
    }
    if (file === null) return keep('ENOENT');
    if (closed || (await stateOf([path])) !== before) return;
    unreadable = '';
    if (file.users.size === 0 && users.size > 0) {
      if (emptySince === null) {
        emptySince = clock.monotonicMs();
        log.debug({ file: path }, 'the users file holds no user any more: is it being written?');
      }
      if (clock.monotonicMs() - emptySince < emptyGraceMs) {
        clock.after(emptyGraceMs, () => void (!closed && reload()));
        return;
      }
    }
    emptySince = null;
    use(file, before);
  }

  /** Says it once per reason, not at every look. */
  function keep(reason: string): void {
    if (reason === unreadable) return;
    unreadable = reason;
    log.error({ file: path, reason }, 'the users file cannot be read; the last good content stays in use');
  }

  const stopWatching = watchFiles({ files: [path], clock, seen: () => state, onChange: reload });

  function assertOpen(): void {
    if (closed) throw new Fault('E_CREDENTIALS_CLOSED', 'the credential backend is closed');
  }

  function timesOf({ cost }: PasswordHash): AnswerTimes {
    const known = times.get(cost) ?? new AnswerTimes(clock);
    times.set(cost, known);
    return known;
  }

  return {
    name: 'file',
    concurrency: hashesAtATime,

    async verify(login, password, signal): Promise<Verdict> {
      assertOpen();
      if (signal.aborted) throw calledOff();
      if (password === '') return { accepted: false, reason: 'no-password' };
      const user = users.get(login);
      const hash = user?.hash ?? decoyFor(login);
      const answerTimes = timesOf(hash);
      // Whoever invents logins costs no hashing, but for a measurement now and then.
      if (user === undefined && !answerTimes.mustMeasure()) {
        return { accepted: false, reason: 'unknown-user', delayMs: answerTimes.sampleMs() };
      }
      const right = await answerTimes.measure(() => hash.check(password));
      assertOpen();
      if (signal.aborted) throw calledOff();
      if (user === undefined) return { accepted: false, reason: 'unknown-user' };
      // HMAC, and so scrypt and PBKDF2, pad a password with zero bytes: with some of its own it would be another's equal.
      if (!right || password.includes('\0')) return { accepted: false, reason: 'wrong-password' };
      // The file may have changed while the hash was computed; the old password must not slip through.
      const now = users.get(login);
      if (now?.hashText !== user.hashText) return { accepted: false, reason: 'wrong-password' };
      return { accepted: true, login, proof: new FileProof(user), groups: now.groups };
    },

    async revalidate(login, proof, signal) {
      assertOpen();
      if (signal.aborted) throw calledOff();
      return proof instanceof FileProof && proof.isOf(users.get(login));
    },

    onRevoked(listener) {
      listeners.push(listener);
    },

    async groupsOf(login) {
      assertOpen();
      return users.get(login)?.groups ?? [];
    },

    async lookUp(login) {
      assertOpen();
      const user = users.get(login);
      return { exists: user !== undefined, groups: user?.groups ?? [] };
    },

    find(part, most) {
      const found: string[] = [];
      for (const login of users.keys()) {
        if (found.length >= most) break;
        if (login.includes(part)) found.push(login);
      }
      return found;
    },

    onGroups(listener) {
      groupListeners.push(listener);
    },

    async refresh() {
      if (!closed && (await stateOf([path])) !== state) await reload();
    },

    async close() {
      closed = true;
      stopWatching();
    },
  };
}

function calledOff(): Fault {
  return new Fault('E_CREDENTIALS_CALLED_OFF', 'the question to the credential backend was called off');
}
