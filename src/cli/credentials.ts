import { systemClock } from '../clock.js';
import type { CredentialsConfig } from '../config/config.js';
import { configOrigin, loadConfig } from '../config/load.js';
import { bad, type CheckedLogin, type CheckStep, good, note } from '../credentials/check.js';
import { createLoginRule } from '../credentials/login.js';
import { openBackend } from '../credentials/open-backend.js';
import { Fault, UsageError } from '../errors.js';
import { createLog } from '../observe/log.js';
import { askPassword, readPassword } from './ask-password.js';
import { action, type CommandIo } from './command.js';
import { defineCommand } from './define-command.js';

const marks = new Map<boolean | null, string>([
  [true, 'ok  '],
  [false, 'FAIL'],
  [null, 'note'],
]);

async function check(
  login: string | undefined,
  passwordFromStdin: boolean,
  file: string | undefined,
  io: CommandIo,
): Promise<number> {
  if (passwordFromStdin && login === undefined) {
    throw new UsageError('--password-stdin: whose password? LOGIN is missing');
  }
  const config = (await loadConfig(file, io.env)).credentials;
  const ask = (whose: string) => (passwordFromStdin ? readPassword(io) : askPassword(io, whose, { twice: false }));
  const user = login === undefined ? null : { login, password: await ask(login) };
  let allGood = true;
  io.stdout.write(`${marks.get(null)}  ${configOrigin(file, io.env)}\n`);
  for await (const { ok, text } of steps(config, user, io.env)) {
    if (ok === false) allGood = false;
    io.stdout.write(`${marks.get(ok)}  ${text}\n`);
  }
  return allGood ? 0 : 1;
}

async function* steps(
  config: CredentialsConfig,
  user: CheckedLogin | null,
  env: NodeJS.ProcessEnv,
): AsyncGenerator<CheckStep> {
  const clock = systemClock;
  yield good(`credentials.backend is "${config.backend}"`);
  if (config.backend === 'ldap') {
    const { checkLdap } = await import('../credentials/ldap-check.js');
    yield* checkLdap({ config: config.ldap, env, clock, user });
  }
  const backend = await openBackend(config, { log: createLog({ level: 'silent', format: 'json' }), clock, env });
  if (config.backend === 'file') yield good(`${config.file.path}: can be read`);
  if (config.backend === 'api') {
    yield good(`the API is asked at ${config.api.url}`);
    if (config.api.url.startsWith('http:')) yield note(`${config.api.url}: passwords go there in clear text`);
  }
  try {
    // Without a user the API is asked with a login that nobody has: a refusal shows that it answers.
    if (user !== null) yield* login(config, user, (signal) => backend.verify(user.login, user.password, signal));
    else if (config.backend === 'api')
      yield* reach(config, (signal) => backend.verify('nobody', 'no password', signal));
  } finally {
    await backend.close();
  }

  async function* login(
    { loginPattern, timeoutMs }: CredentialsConfig,
    { login: typed }: CheckedLogin,
    verify: (signal: AbortSignal) => ReturnType<typeof backend.verify>,
  ): AsyncGenerator<CheckStep> {
    const isLogin = createLoginRule(loginPattern);
    if (!isLogin(typed) && backend.acceptsLogin?.(typed) !== true) {
      return yield bad(
        `${typed}: does not match credentials.loginPattern ${loginPattern}: refused before anybody is asked`,
      );
    }
    const verdict = await verify(AbortSignal.timeout(timeoutMs)).catch(faultText);
    if (typeof verdict === 'string') return yield bad(`${typed}: cannot be checked: ${verdict}`);
    if (!verdict.accepted) return yield bad(`${typed}: refused (${verdict.reason})`);
    if (isLogin(verdict.login)) {
      yield good(`${typed}: accepted as ${verdict.login}, with the tree iotlab/${verdict.login}`);
      const { groups = [] } = verdict;
      if (groups.length > 0) yield note(`${verdict.login}: belongs to ${groups.join(', ')}`);
      return;
    }
    yield bad(
      `${typed}: accepted as ${verdict.login}, which does not match credentials.loginPattern ${loginPattern}: refused`,
    );
  }
}

async function* reach(
  { timeoutMs }: CredentialsConfig,
  verify: (signal: AbortSignal) => Promise<unknown>,
): AsyncGenerator<CheckStep> {
  const answer = await verify(AbortSignal.timeout(timeoutMs)).catch(faultText);
  yield typeof answer === 'string' ? bad(answer) : good('it answers');
}

function faultText(error: unknown): string {
  if (error instanceof Fault) return `${error.message} (${error.code})`;
  throw error;
}

export const command = defineCommand({
  name: 'credentials',
  summary: 'try the credential backend step by step',
  about: `
Tries the credential backend of the configuration (credentials.backend) step by step and says what works and what does
not. With LOGIN, a password is asked for and a login is tried with it, as a client would; nothing is cached or throttled.
Exit code 0: everything worked; 1: something did not.`,
  examples: ['iotlab-broker credentials check alice'],
  does: {
    check: action({
      arguments: ['[LOGIN]'],
      options: {
        'password-stdin': {
          type: 'boolean',
          help: 'read the password from the standard input, instead of asking for it on the terminal',
        },
      },
      run: ({ args: [login], values, config }, io) => check(login, values['password-stdin'] === true, config, io),
    }),
  },
});
