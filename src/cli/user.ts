import { mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { CredentialsConfig } from '../config/config.js';
import { loadConfig } from '../config/load.js';
import { createLoginRule } from '../credentials/login.js';
import { hashPassword, randomPassword } from '../credentials/password-hash.js';
import { asUsageError, editUsersFile, readUsersFile } from '../credentials/users-file.js';
import { UsageError } from '../errors.js';
import { askPassword, readPassword } from './ask-password.js';
import type { Command, CommandIo } from './command.js';
import { parseOptions } from './options.js';
import { importUsers } from './user-import.js';

const help = `
Usage: iotlab-broker user add LOGIN       make a user
       iotlab-broker user passwd LOGIN    give a user a new password
       iotlab-broker user remove LOGIN
       iotlab-broker user list            print the logins, one a line
       iotlab-broker user import FILE     take the users of a file made by mosquitto_passwd (-: standard input)

Edits the users file of the "file" credential backend. A running broker notices within two seconds, and disconnects
the sessions of a user who was removed or has a new password.

  --password-stdin  read the password from the standard input, instead of asking for it twice on the terminal
  --random          make a password up and print it, alone, on the standard output
  --replace         import: take the file's hash also for logins that are there already
  --file PATH       the users file, instead of credentials.file.path of the configuration
  --config FILE     the configuration

Example: iotlab-broker user add alice --random
`.trimStart();

interface Target {
  readonly path: string;
  readonly isLogin: (login: string) => boolean;
  readonly loginPattern: string;
}

interface PasswordSource {
  readonly stdin: boolean;
  readonly random: boolean;
}

const actions = new Map([
  ['add', 'LOGIN'],
  ['passwd', 'LOGIN'],
  ['remove', 'LOGIN'],
  ['list', null],
  ['import', 'FILE'],
]);

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const { values, positionals } = parseOptions('user', args, {
    'password-stdin': { type: 'boolean' },
    random: { type: 'boolean' },
    replace: { type: 'boolean' },
    file: { type: 'string' },
  });
  const [action = '', subject = '', ...more] = positionals;
  const wanted = actions.get(action);
  const known = [...actions.keys()].join(', ');
  if (action === '') throw new UsageError(`user: one of ${known} is missing; see: iotlab-broker user --help`);
  if (wanted === undefined) throw new UsageError(`user: ${JSON.stringify(action)} is not one of ${known}`);
  if (wanted !== null && subject === '') {
    throw new UsageError(`${wanted} is missing; usage: iotlab-broker user ${action} ${wanted}`);
  }
  // What is too much is not repeated: it may be a password.
  if (more.length > 0 || (wanted === null && subject !== '')) {
    throw new UsageError(
      `too many arguments; usage: iotlab-broker user ${action}${wanted === null ? '' : ` ${wanted}`}`,
    );
  }
  const source = { stdin: values['password-stdin'] === true, random: values.random === true };
  if (source.stdin && source.random) throw new UsageError('--password-stdin and --random exclude each other');
  if ((source.stdin || source.random) && action !== 'add' && action !== 'passwd') {
    throw new UsageError(`user ${action} takes no password`);
  }
  if (values.replace === true && action !== 'import')
    throw new UsageError('--replace is for: iotlab-broker user import');

  const target = targetOf((await loadConfig(values.config, io.env)).credentials, values.file);
  if (action === 'list') return list(target, io);
  if (action === 'import') return importUsers({ ...target, source: subject, replace: values.replace === true }, io);
  if (action === 'remove') return remove(target, subject, io);
  return setPassword(target, action === 'add', subject, source, io);
}

function targetOf(config: CredentialsConfig, file: string | undefined): Target {
  if (file === undefined && config.backend !== 'file') {
    throw new UsageError(
      `credentials.backend is "${config.backend}": users are kept there, not in a file (--file PATH edits one all the same)`,
    );
  }
  if (file === '') throw new UsageError('--file needs a path');
  return {
    path: file === undefined ? config.file.path : resolve(file),
    isLogin: createLoginRule(config.loginPattern),
    loginPattern: config.loginPattern,
  };
}

async function setPassword(
  { path, isLogin, loginPattern }: Target,
  isNew: boolean,
  login: string,
  source: PasswordSource,
  io: CommandIo,
): Promise<number> {
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
    return file.with(login, hashText);
  });
  const done = isNew ? `${login} added to ${path}` : `${login} has a new password in ${path}`;
  if (source.random) io.stdout.write(`${password}\n`);
  (source.random ? io.stderr : io.stdout).write(`${done}\n`);
  return 0;
}

async function remove({ path }: Target, login: string, io: CommandIo): Promise<number> {
  await read(path);
  await editUsersFile(path, (file) => {
    if (!file.mentions(login)) throw notThere(login, path);
    return file.without(login);
  });
  io.stdout.write(`${login} removed from ${path}\n`);
  return 0;
}

async function list({ path, isLogin }: Target, io: CommandIo): Promise<number> {
  const file = await read(path);
  if (file === null) throw new UsageError(`users file ${path}: there is none; make one: iotlab-broker user add LOGIN`);
  for (const login of file.users.keys()) {
    io.stdout.write(`${login}\n`);
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

export const command: Command = {
  name: 'user',
  summary: 'add, change, remove, list and import the users of the users file',
  help,
  run,
};
