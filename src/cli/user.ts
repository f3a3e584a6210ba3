import { mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { configOrigin, loadConfig } from '../config/load.js';
import { createLoginRule } from '../credentials/login.js';
import { hashPassword, randomPassword } from '../credentials/password-hash.js';
import { asUsageError, editUsersFile, REMOVAL_HOLD_SECONDS, readUsersFile } from '../credentials/users-file.js';
import { UsageError } from '../errors.js';
import { jsonText } from '../observe/json-text.js';
import { askPassword, readPassword } from './ask-password.js';
import { action, type CommandIo, type Options } from './command.js';
import { defineCommand } from './define-command.js';
import type { ForgetOrder } from './user-data.js';
import { assertGroupNames, userGroups } from './user-groups.js';
import { importUsers } from './user-import.js';
import { addUsers, several, severalOf } from './user-many.js';

interface Target {
  readonly path: string;
  /** Where the path is from, as the end of a sentence; nothing when it was given. */
  readonly from: string;
  readonly isLogin: (login: string) => boolean;
  readonly loginPattern: string;
  /** It is the file of the broker that is configured. */
  readonly inUse: boolean;
}

interface PasswordSource {
  readonly stdin: boolean;
  readonly random: boolean;
}

interface Setting {
  readonly login: string;
  readonly source: PasswordSource;
  /** Of a new user; null leaves those that there are. */
  readonly groups: readonly string[] | null;
}

/** The users file: that of `--file`, else of the configuration. */
async function targetOf(file: string | undefined, configPath: string | undefined, io: CommandIo): Promise<Target> {
  const config = (await loadConfig(configPath, io.env)).credentials;
  if (file === undefined && config.backend !== 'file') {
    throw new UsageError(
      `credentials.backend is "${config.backend}": users are kept there, not in a file (--file PATH edits one all the same)`,
    );
  }
  return {
    path: file === undefined ? config.file.path : resolve(file),
    from: file === undefined ? ` (${configOrigin(configPath, io.env)})` : '',
    isLogin: createLoginRule(config.loginPattern),
    loginPattern: config.loginPattern,
    inUse: config.backend === 'file' && (file === undefined || resolve(file) === config.file.path),
  };
}

async function setPassword(
  { path, from, isLogin, loginPattern }: Target,
  { login, source, groups }: Setting,
  io: CommandIo,
): Promise<number> {
  const isNew = groups !== null;
  assertGroupNames(groups ?? []);
  if (isNew && !isLogin(login)) {
    throw new UsageError(
      `${JSON.stringify(login)} could never log in: it does not match credentials.loginPattern (${loginPattern})`,
    );
  }
  const assertFits = (exists: boolean): void => {
    if (isNew && exists) {
      throw new UsageError(`${login} is in ${path} already; for a new password: iotlab-broker user passwd ${login}`);
    }
    if (!isNew && !exists) throw notThere(login, path);
  };
  // Nobody should type a password twice only to hear that.
  assertFits((await read(path))?.mentions(login) ?? false);
  const password = source.random
    ? randomPassword()
    : source.stdin
      ? await readPassword(io)
      : await askPassword(io, login);
  const hashText = await hashPassword(password);
  if (isNew) await makeFolder(path);
  await editUsersFile(path, (file) => {
    assertFits(file.mentions(login));
    return file.with(login, hashText, groups ?? undefined);
  });
  const done = `${login} ${isNew ? 'added to' : 'has a new password in'} ${path}${from}`;
  if (source.random) io.stdout.write(`${password}\n`);
  (source.random ? io.stderr : io.stdout).write(`${done}\n`);
  return 0;
}

/** Its module has the store, which those that only write a line in the users file need not load. */
async function forget(order: ForgetOrder, io: CommandIo): Promise<string> {
  return (await import('./user-data.js')).forgetData(order, io);
}

/** `data`: what is kept of the login goes first, and if that cannot be, nothing does. */
async function remove(
  { path, from, inUse }: Target,
  {
    login,
    data,
    configPath,
  }: { readonly login: string; readonly data: boolean; readonly configPath: string | undefined },
  io: CommandIo,
): Promise<number> {
  await read(path);
  let forgotten = '';
  await editUsersFile(path, async (file) => {
    if (!file.mentions(login)) throw notThere(login, path);
    if (data && inUse) forgotten = await forget({ login, holdSeconds: REMOVAL_HOLD_SECONDS, configPath }, io);
    return file.without(login);
  });
  io.stdout.write(`${login} removed from ${path}${from}\n`);
  if (forgotten !== '') io.stdout.write(`${forgotten}\n`);
  if (data && !inUse) {
    io.stderr.write(`no broker that is configured here uses ${path}: what one may keep of ${login} stays\n`);
  }
  return 0;
}

async function list({ path, isLogin }: Target, json: boolean, io: CommandIo): Promise<number> {
  const file = await read(path);
  if (file === null) throw new UsageError(`users file ${path}: there is none; make one: iotlab-broker user add LOGIN`);
  const logins = [...file.users.keys()].sort();
  if (json) {
    const rows = logins.map((login) => ({ login, groups: file.users.get(login)!.groups ?? [] }));
    io.stdout.write(`${jsonText(rows, 2)}\n`);
  }
  for (const login of logins) {
    if (!json) io.stdout.write(`${login}\n`);
    if (!isLogin(login))
      io.stderr.write(`${path}: ${login} cannot log in: it does not match credentials.loginPattern\n`);
  }
  for (const { line, problem } of file.problems) io.stderr.write(`${path}:${line}: ignored: ${problem}\n`);
  return 0;
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch((error) => {
    throw asUsageError(path, error);
  });
}

async function read(path: string): ReturnType<typeof readUsersFile> {
  try {
    return await readUsersFile(path);
  } catch (error) {
    throw asUsageError(path, error);
  }
}

function notThere(login: string, path: string): UsageError {
  return new UsageError(`there is no ${JSON.stringify(login)} in ${path}; see: iotlab-broker user list`);
}

const file = {
  file: {
    type: 'string',
    value: 'PATH',
    help: 'the users file, instead of credentials.file.path of the configuration',
  },
} as const satisfies Options;

const password = {
  'password-stdin': {
    type: 'boolean',
    help: 'read the password from the standard input, instead of asking for it twice on the terminal',
  },
  random: { type: 'boolean', help: 'make a password up and print it, alone, on the standard output' },
} as const satisfies Options;

const group = {
  group: { type: 'string', multiple: true, value: 'NAME', help: 'a group that the user belongs to; may be repeated' },
} as const satisfies Options;

function sourceOf(values: { readonly 'password-stdin'?: boolean | undefined; readonly random?: boolean | undefined }) {
  const { 'password-stdin': stdin = false, random = false } = values;
  if (stdin && random) throw new UsageError('--password-stdin and --random exclude each other');
  return { stdin, random };
}

export const command = defineCommand({
  name: 'user',
  summary: 'add, change, remove, list and import the users of the users file; forget a user',
  about: `
Edits the users file of the "file" credential backend. A running broker notices within two seconds, and disconnects
the sessions of a user who was removed or has a new password. Groups are for the access rules that name them. What the
broker keeps of a user is forgotten by way of the running broker, or out of the store when there is none.`,
  examples: [
    'iotlab-broker user add alice --random',
    'iotlab-broker user add --count 40 --prefix course --to course.txt',
  ],
  does: {
    add: action({
      summary: 'make a user, or many at once and a list of their passwords to print',
      arguments: ['[LOGIN]'],
      options: { ...password, ...group, ...several, ...file },
      run: async ({ args: [login], values, config }, io) => {
        const source = sourceOf(values);
        const { group: groups = [] } = values;
        const target = await targetOf(values.file, config, io);
        const users = await severalOf(login, values, io);
        if (users !== null) {
          assertGroupNames(groups);
          await makeFolder(target.path);
          return addUsers(users, { ...target, groups, to: values.to }, io);
        }
        if (login === undefined) throw new UsageError('user add: LOGIN is missing, or --from FILE, or --count N');
        return setPassword(target, { login, source, groups }, io);
      },
    }),
    passwd: action({
      summary: 'give a user a new password',
      arguments: ['LOGIN'],
      options: { ...password, ...file },
      run: async ({ args: [login], values, config }, io) => {
        const setting = { login, source: sourceOf(values), groups: null };
        return setPassword(await targetOf(values.file, config, io), setting, io);
      },
    }),
    groups: action({
      summary: 'print the groups of a user, or say which ones they are',
      arguments: ['LOGIN', '[GROUP]…'],
      options: { none: { type: 'boolean', help: 'the user belongs to no group' }, ...file },
      run: async ({ args: [login, ...groups], values, config }, io) => {
        const target = await targetOf(values.file, config, io);
        const { path, from } = target;
        const named = groups.filter((name) => name !== undefined);
        const options = { path, from, login, groups: named, none: values.none === true };
        return userGroups({ ...options, notThere: () => notThere(login, path) }, io);
      },
    }),
    remove: action({
      summary: 'remove a user, and what the broker keeps of him: sessions, queues, Wills, retained messages',
      arguments: ['LOGIN'],
      options: {
        'keep-data': { type: 'boolean', help: 'leave that: whoever has the login next will find it' },
        ...file,
      },
      run: async ({ args: [login], values, config }, io) => {
        const target = await targetOf(values.file, config, io);
        return remove(target, { login, data: values['keep-data'] !== true, configPath: config }, io);
      },
    }),
    forget: action({
      summary: 'the same without the users file: for users of a directory',
      arguments: ['LOGIN'],
      run: async ({ args: [login], config }, io) => {
        io.stdout.write(`${await forget({ login, holdSeconds: 0, configPath: config }, io)}\n`);
        return 0;
      },
    }),
    list: action({
      summary: 'print the logins, one a line',
      options: { json: { type: 'boolean', help: 'JSON, with the groups of each' }, ...file },
      run: async ({ values, config }, io) => list(await targetOf(values.file, config, io), values.json === true, io),
    }),
    import: action({
      summary: 'take the users of a file made by mosquitto_passwd (-: standard input)',
      arguments: ['FILE'],
      options: {
        replace: { type: 'boolean', help: "take the file's hash also for logins that are there already" },
        ...file,
      },
      run: async ({ args: [source], values, config }, io) =>
        importUsers({ ...(await targetOf(values.file, config, io)), source, replace: values.replace === true }, io),
    }),
  },
});
