import { randomBytes } from 'node:crypto';
import { chmod, open, readFile, realpath, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { UsageError } from '../errors.js';
import { whyNotAGroupName } from '../group-name.js';
import { type PasswordHash, parsePasswordHash } from './password-hash.js';
import { withUsersLock } from './users-lock.js';

/** One line of the file; comments, blank lines and lines that nobody can read are kept as they are. */
type Line = { readonly text: string; readonly login: string | null };

/** What a line is to say of a login. */
/** For so long nobody is let in with a login that is removed: longer than a broker takes to notice that the file has changed. */
export const REMOVAL_HOLD_SECONDS = 5;

export interface UserLine {
  readonly hashText: string;
  /** Without them, those that the line had are kept. */
  readonly groups?: readonly string[];
}

export interface StoredUser {
  readonly login: string;
  /** Where it stands in the file; the first is 1. */
  readonly line: number;
  /** As in the file; two that are equal are the same password of the same day. Never logged. */
  readonly hashText: string;
  readonly hash: PasswordHash;
  readonly groups: readonly string[];
}

export interface LineProblem {
  readonly line: number;
  readonly login: string | null;
  readonly problem: string;
}

/**
 * The content of a users file, `login:hash` a line, or `login:hash:group,group`, in the order of the file. mosquitto reads
 * such a file as well, and looks at nothing behind the hash.
 */
export class UsersFile {
  readonly #lines: Line[];
  readonly users: ReadonlyMap<string, StoredUser>;
  readonly problems: readonly LineProblem[];

  private constructor(lines: Line[], users: Map<string, StoredUser>, problems: LineProblem[]) {
    this.#lines = lines;
    this.users = users;
    this.problems = problems;
  }

  /** Never fails: a line that can't be used is a problem with its number, and only that line is ignored. */
  static parse(text: string): UsersFile {
    const texts = text.replace(/^\ufeff/, '').split(/\r?\n/);
    if (texts.at(-1) === '') texts.pop();
    const users = new Map<string, StoredUser>();
    const problems: LineProblem[] = [];
    const lines = texts.map((lineText, index): Line => {
      const trimmed = lineText.trim();
      if (trimmed === '' || trimmed.startsWith('#')) return { text: lineText, login: null };
      const line = index + 1;
      const colon = trimmed.indexOf(':');
      if (colon <= 0) {
        problems.push({ line, login: null, problem: 'not of the form login:hash' });
        return { text: lineText, login: null };
      }
      const login = trimmed.slice(0, colon);
      const [hashText = '', groupsText = ''] = trimmed.slice(colon + 1).split(':', 2);
      const groups = groupsIn(groupsText);
      const hash = parsePasswordHash(hashText);
      const wrong = groups.map(whyNotAGroupName).find((why) => why !== null);
      if (users.has(login)) problems.push({ line, login, problem: 'the login is in the file already, further up' });
      else if ('problem' in hash) problems.push({ line, login, problem: hash.problem });
      else if (wrong !== undefined) problems.push({ line, login, problem: `the name of a group ${wrong}` });
      else users.set(login, { login, line, hashText, hash, groups });
      return { text: lineText, login };
    });
    return new UsersFile(lines, users, problems);
  }

  /** A copy with the user's line put in the place of the old one, or at the end. */
  with(login: string, hashText: string, groups?: readonly string[]): UsersFile {
    return this.withAll(new Map([[login, { hashText, ...(groups && { groups }) }]]));
  }

  /** The same for many, by login. */
  withAll(users: ReadonlyMap<string, UserLine>): UsersFile {
    const missing = new Map(users);
    const lines: Line[] = [];
    for (const line of this.#lines) {
      const user = line.login === null ? undefined : users.get(line.login);
      if (user === undefined) lines.push(line);
      // A second line of the same login goes: what it says has just been replaced.
      else if (missing.delete(line.login!)) lines.push(this.#line(line.login!, user));
    }
    for (const [login, user] of missing) lines.push(this.#line(login, user));
    return UsersFile.parse(render(lines));
  }

  #line(login: string, { hashText, groups = this.users.get(login)?.groups ?? [] }: UserLine): Line {
    const fields = groups.length === 0 ? [login, hashText] : [login, hashText, groups.join(',')];
    return { text: fields.join(':'), login };
  }

  /** A copy without any line of that login. */
  without(login: string): UsersFile {
    return UsersFile.parse(render(this.#lines.filter((each) => each.login !== login)));
  }

  /** Does a line begin with this login, even one that can't be used? */
  mentions(login: string): boolean {
    return this.#lines.some((each) => each.login === login);
  }

  toString(): string {
    return render(this.#lines);
  }
}

/** Names between commas, each once. */
function groupsIn(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim());
  return names.filter((name, i) => name !== '' && names.indexOf(name) === i);
}

function render(lines: readonly Line[]): string {
  return lines.map((line) => `${line.text}\n`).join('');
}

/** Reads a users file; null when there is none. Other errors are the system's. */
export async function readUsersFile(path: string): Promise<UsersFile | null> {
  try {
    return UsersFile.parse(await readFile(path, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/**
 * Reads, lets `edit` make the new content, and writes it so that a reader sees the old file or the new one and nothing
 * between, even after a power cut. Waits for another edit of the same file to end, for up to `lockWaitMs`. `edit` returns null to leave the
 * file alone. Throws `UsageError` when the file can't be read or written.
 */
export async function editUsersFile(
  path: string,
  edit: (file: UsersFile) => UsersFile | null | Promise<UsersFile | null>,
  lockWaitMs = 5_000,
): Promise<void> {
  try {
    // The file behind a symbolic link is replaced, not the link.
    const target = await realpath(path).catch(() => path);
    await withUsersLock(target, lockWaitMs, async () => {
      const edited = await edit((await readUsersFile(target)) ?? UsersFile.parse(''));
      if (edited !== null) await replaceFile(target, edited.toString());
    });
  } catch (error) {
    throw asUsageError(path, error);
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`);
  const old = await stat(path).catch(() => null);
  const file = await open(temporary, 'wx', 0o600);
  try {
    try {
      await file.writeFile(text);
      // The broker may run as another user than the one who edits: owner and the group's right to read stay; and what
      // root makes is for whoever owns the folder.
      const own = await file.stat();
      const owner = old ?? (process.getuid?.() === 0 ? await stat(folder) : own);
      if (owner.uid !== own.uid || owner.gid !== own.gid) await file.chown(owner.uid, owner.gid);
      if (old !== null && (old.mode & 0o040) !== 0) await chmod(temporary, 0o640);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
  const directory = await open(folder, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** The system's errors in words that name the file and the remedy; anything else as it is. */
export function asUsageError(path: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  const remedies = new Map([
    ['ENOENT', 'its folder does not exist; make it, or name another place with --file or credentials.file.path'],
    ['ENOTDIR', 'a part of its path is a file, not a folder'],
    ['EISDIR', 'it is a folder; credentials.file.path (or --file) must name a file'],
    ['EACCES', 'no permission; run this as the user that owns the file'],
    ['EPERM', 'no permission to keep its owner; run this as the user that owns the file'],
    ['EROFS', 'its file system is read-only'],
    ['ENOSPC', 'no space is left on its file system'],
    ['EBUSY', 'it cannot be replaced, being a mount point of its own; mount its folder instead of the file'],
  ]);
  const remedy = code === undefined ? undefined : remedies.get(code);
  if (remedy === undefined) return error;
  return new UsageError(`users file ${path}: ${remedy} (${code})`, { code: 'E_USERS_FILE', cause: error });
}
