import { readFile } from 'node:fs/promises';
import { hashPassword, randomPassword } from '../credentials/password-hash.js';
import { editUsersFile, type UserLine } from '../credentials/users-file.js';
import { UsageError, whyNoFile } from '../errors.js';
import { whyNoPassword } from './ask-password.js';
import type { CommandIo, Options } from './command.js';
import { openPasswordList } from './password-list.js';
import { readAll } from './read-all.js';

/** Hashes that are made at the same time: there are four threads for them. */
const AT_ONCE = 4;
const MOST_USERS = 10_000;

interface NewUser {
  readonly login: string;
  /** Null: one is made up. */
  readonly password: string | null;
  /** Of the list, when there is one. */
  readonly line: number | null;
}

export const several = {
  from: {
    type: 'string',
    value: 'FILE',
    help: 'everybody in a list: a login a line, and behind it the password if it is not to be made up (-: standard input)',
  },
  count: { type: 'string', value: 'N', help: 'so many, with numbers behind --prefix, and passwords that are made up' },
  prefix: { type: 'string', value: 'NAME', help: 'course: course01, course02, …' },
  to: {
    type: 'string',
    value: 'FILE',
    help: 'of --from and --count: a new file for the list, which only you can read, instead of the standard output',
  },
} as const satisfies Options;

/** Who is to be added when it is not one LOGIN. */
export async function severalOf(
  login: string | undefined,
  values: {
    readonly from?: string | undefined;
    readonly count?: string | undefined;
    readonly prefix?: string | undefined;
    readonly to?: string | undefined;
    readonly 'password-stdin'?: boolean | undefined;
  },
  io: CommandIo,
): Promise<NewUser[] | null> {
  const { from, count, prefix, to } = values;
  if (from === undefined && count === undefined) {
    if (to !== undefined) throw new UsageError('--to is where a list goes, with --count or --from');
    if (prefix !== undefined) throw new UsageError('--prefix: how many? --count N is missing');
    return null;
  }
  if ([login, from, count].filter((given) => given !== undefined).length > 1) {
    throw new UsageError('LOGIN, --from and --count exclude each other');
  }
  if (values['password-stdin'] === true) throw new UsageError('--password-stdin is the password of one LOGIN');
  return count === undefined ? listedUsers(from!, io) : numberedUsers(count, prefix);
}

/** `course01`, `course02`, …: as many as are asked for. */
function numberedUsers(count: string, prefix: string | undefined): NewUser[] {
  if (prefix === undefined) throw new UsageError('--count: how are they called? --prefix NAME is missing');
  const wanted = Number(count);
  if (!/^\d+$/.test(count) || wanted < 1 || wanted > MOST_USERS) {
    throw new UsageError(`--count ${count} is not a whole number from 1 to ${MOST_USERS}`);
  }
  const digits = Math.max(2, count.length);
  return Array.from({ length: wanted }, (_, i) => ({
    login: `${prefix}${String(i + 1).padStart(digits, '0')}`,
    password: null,
    line: null,
  }));
}

/** Of a list with a login a line, and behind it, if somebody has chosen it, the password. `-`: standard input. */
async function listedUsers(source: string, io: CommandIo): Promise<NewUser[]> {
  const text = source === '-' ? await readAll(io) : await read(source);
  const users: NewUser[] = [];
  const seen = new Map<string, number>();
  const refuse = (line: number, why: string) => new UsageError(`${source}:${line}: ${why}; nobody was added`);
  for (const [index, raw] of text.split('\n').entries()) {
    const line = index + 1;
    const [login = '', ...rest] = raw.trim().split(/\s+/);
    if (login === '' || login.startsWith('#')) continue;
    if (rest.length > 1) throw refuse(line, 'more than a login and a password');
    if (seen.has(login)) throw refuse(line, `${login} is in line ${seen.get(login)} already`);
    seen.set(login, line);
    const why = rest[0] === undefined ? null : whyNoPassword(rest[0]);
    if (why !== null) throw refuse(line, why);
    users.push({ login, password: rest[0] ?? null, line });
    if (users.length > MOST_USERS) throw refuse(line, `more than ${MOST_USERS} users`);
  }
  if (users.length === 0) throw new UsageError(`${source}: no login in it`);
  return users;
}

/**
 * Adds all of them, or nobody when there is a mistake. Who is there already stays as he is, if the users are from a list:
 * it may be given again with more in it. The list for printing goes to `to`, or is all that goes to the standard output.
 */
export async function addUsers(
  users: readonly NewUser[],
  options: {
    readonly path: string;
    /** Where the path is from, as the end of a sentence. */
    readonly from: string;
    readonly groups: readonly string[];
    readonly isLogin: (login: string) => boolean;
    readonly loginPattern: string;
    readonly to: string | undefined;
  },
  io: CommandIo,
): Promise<number> {
  const { path, from, groups, isLogin, loginPattern, to } = options;
  for (const { login, line } of users) {
    if (isLogin(login)) continue;
    const where = line === null ? '' : `line ${line}: `;
    const why = `it does not match credentials.loginPattern (${loginPattern}); nobody was added`;
    throw new UsageError(`${where}${JSON.stringify(login)} could never log in: ${why}`);
  }
  const list = await openPasswordList(to, io);
  const made: { readonly login: string; readonly password: string }[] = [];
  let kept = 0;
  try {
    await editUsersFile(path, async (file) => {
      const fresh = users.filter(({ login }) => !file.mentions(login));
      kept = users.length - fresh.length;
      const there = users.find(({ login, line }) => line === null && file.mentions(login));
      if (there !== undefined) {
        throw new UsageError(`${there.login} is in ${path} already; nobody was added: choose another --prefix`);
      }
      if (fresh.length === 0) return null;
      const lines = new Map<string, UserLine>();
      for (let i = 0; i < fresh.length; i += AT_ONCE) {
        const hashed = fresh.slice(i, i + AT_ONCE).map(async ({ login, password: chosen }) => {
          const password = chosen ?? randomPassword();
          made.push({ login, password });
          const hashText = await hashPassword(password);
          lines.set(login, { hashText, ...(groups.length > 0 && { groups }) });
        });
        await Promise.all(hashed);
      }
      return file.withAll(lines);
    });
  } catch (error) {
    await list.discard();
    throw error;
  }
  if (made.length === 0) await list.discard();
  else await list.write(printable(made));
  const there = kept === 0 ? '' : `; ${kept} there already, who stay as they are`;
  const where = to === undefined || made.length === 0 ? '' : `; their passwords are in ${to}`;
  io.stderr.write(`${made.length} added to ${path}${from}${there}${where}\n`);
  return 0;
}

/** To print and cut. */
function printable(made: readonly { readonly login: string; readonly password: string }[]): string {
  const widest = Math.max(...made.map(({ login }) => login.length));
  return made.map(({ login, password }) => `login  ${login.padEnd(widest)}    password  ${password}\n`).join('');
}

async function read(source: string): Promise<string> {
  try {
    return await readFile(source, 'utf8');
  } catch (error) {
    throw new UsageError(`${source}: cannot be read: ${whyNoFile(error)}`, { cause: error });
  }
}
