import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { loadConfig } from '../config/load.js';
import { randomPassword } from '../credentials/password-hash.js';
import { UsageError } from '../errors.js';
import { describeDenials } from '../testing/denials.js';
import type { StartOptions, TestBroker } from '../testing/index.js';
import { describeWarnings, inWords } from '../testing/log-ring.js';
import { action, type CommandIo } from './command.js';
import { defineCommand } from './define-command.js';

/** The signals that end a command; they are passed on to it, and it decides when to go. */
const endings: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP'];

interface Wanted {
  readonly command: string | undefined;
  readonly rest: readonly string[];
  readonly json: boolean;
  readonly showsLog: boolean;
  readonly users: readonly string[];
  readonly config: string | undefined;
}

async function runWithBroker(
  { command, rest, json, showsLog, users: given, config }: Wanted,
  io: CommandIo,
): Promise<number> {
  if (json && command !== undefined) throw new UsageError('test: --json runs no command; leave one of them away');
  if (!json && command === undefined) {
    throw new UsageError('COMMAND is missing; usage: iotlab-broker test -- COMMAND [ARGUMENT]…');
  }
  const users = usersOf(given);
  const { startBroker } = await import('../testing/index.js');
  const broker = await startBroker({
    ...{ users: Object.fromEntries(users), ...(await rulesOf(config, io.env)) },
    ...(showsLog ? { log: { level: 'info' }, onLogLine: (line) => io.stderr.write(`broker: ${inWords(line)}\n`) } : {}),
  });
  let lines: string[] = [];
  try {
    const variables = variablesOf(broker, [...users.keys()][0]!);
    let code = 0;
    if (command !== undefined) code = await runCommand(command, rest, { ...io.env, ...variables });
    else {
      const closed = untilClosed(io.stdin);
      io.stdout.write(`${JSON.stringify(variables)}\n`);
      await closed;
    }
    // Why it failed, perhaps. Whoever only reads the JSON has no exit code to go by.
    if (showsLog) lines = describeDenials(broker.denials());
    else if (code !== 0 || json) lines = describeWarnings(broker.logLines());
    return code;
  } finally {
    await broker.stop();
    for (const line of lines) io.stderr.write(`${line}\n`);
  }
}

function usersOf(given: readonly string[]): Map<string, string> {
  return new Map(
    given.map((each) => {
      const colon = each.indexOf(':');
      return colon === -1 ? [each, randomPassword()] : [each.slice(0, colon), each.slice(colon + 1)];
    }),
  );
}

async function rulesOf(file: string | undefined, env: NodeJS.ProcessEnv): Promise<StartOptions> {
  if (file === undefined) return {};
  const { acl, limits } = await loadConfig(file, env);
  const { stopTimeoutMs: _, ...others } = limits;
  return { acl, limits: others };
}

function variablesOf(broker: TestBroker, login: string): Record<string, string> {
  return {
    IOTLAB_MQTT_HOST: broker.host,
    IOTLAB_MQTT_PORT: `${broker.port}`,
    IOTLAB_MQTT_CAFILE: broker.caFile,
    IOTLAB_MQTT_LOGIN: login,
    IOTLAB_MQTT_PASSWORD: broker.users.passwordOf(login),
  };
}

/** Resolves with the exit code, as a shell would give it: 128 and the signal's number for who died of a signal. */
async function runCommand(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  let child: ChildProcess | null = null;
  const forward = (signal: NodeJS.Signals): void => {
    // Ctrl-C at a terminal has reached the command already.
    if (signal !== 'SIGINT' || process.stdin.isTTY !== true) child?.kill(signal);
  };
  // Before the command runs: what it started would be left alone if a signal came first.
  for (const signal of endings) process.on(signal, forward);
  try {
    child = spawn(command, args, { env, stdio: 'inherit' });
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
    return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'there is no such command' : (cause as Error).message;
    throw new UsageError(`test: ${command} cannot be run: ${why}`, { cause });
  } finally {
    for (const signal of endings) process.off(signal, forward);
  }
}

/** Resolves when standard input is closed, or a signal says that it is time to go. */
async function untilClosed(stdin: NodeJS.ReadableStream): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      for (const signal of endings) process.off(signal, done);
      resolve();
    };
    for (const signal of endings) process.on(signal, done);
    stdin.once('end', done).once('close', done).once('error', done).resume();
  });
}

export const command = defineCommand({
  name: 'test',
  summary: 'run a command with a broker to test against',
  about: `
Starts a broker for a test, on a free port of the loopback interface, with a throw-away CA and nothing on disk. Runs
COMMAND with IOTLAB_MQTT_HOST, IOTLAB_MQTT_PORT, IOTLAB_MQTT_CAFILE, IOTLAB_MQTT_LOGIN and IOTLAB_MQTT_PASSWORD in its
environment, and exits with its exit code; when that is not 0, what the broker warned of follows on standard error. Of
the configuration, the access rules (acl) and the limits are used, and without --config none is read.`,
  examples: [
    'iotlab-broker test -- pytest',
    "iotlab-broker test --user alice --user bob:hunter2 -- sh -c 'mosquitto_pub -h $IOTLAB_MQTT_HOST \\",
    '  -p $IOTLAB_MQTT_PORT --cafile $IOTLAB_MQTT_CAFILE -u $IOTLAB_MQTT_LOGIN -P $IOTLAB_MQTT_PASSWORD \\',
    "  -t iotlab/alice/hello -m world'",
    'iotlab-broker test --log -- pytest -k reconnect',
  ],
  does: action({
    arguments: ['[-- COMMAND]', '[ARGUMENT]…'],
    options: {
      user: {
        type: 'string',
        multiple: true,
        value: 'LOGIN[:PASSWORD]',
        help: 'a user, alice unless given; the password is random unless given; the first one is the one in the environment',
      },
      log: {
        type: 'boolean',
        help: 'show on standard error what the broker sees, and at the end what it denied and refused, with what helps',
      },
      json: {
        type: 'boolean',
        help: 'print these variables as one line of JSON instead, and run until standard input is closed',
      },
    },
    run: (
      { args: [command, ...rest], values: { json = false, log: showsLog = false, user = ['alice'] }, config },
      io,
    ) => runWithBroker({ command, rest: rest as string[], json, showsLog, users: user, config }, io),
  }),
});
