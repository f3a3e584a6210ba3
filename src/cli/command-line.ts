import { nearest } from '../config/nearest.js';
import { packageVersion } from '../config/package-folder.js';
import { redactUrls } from '../config/redact.js';
import { UsageError } from '../errors.js';
import type { Command, CommandIo } from './command.js';
import { printableIo } from './printable-io.js';

type Registry = ReadonlyMap<string, () => Promise<Command>>;

/** Every command, loaded when it is asked for: `iotlab-broker user list` need not load the broker. */
export const commands: Registry = new Map<string, () => Promise<Command>>([
  ['acl', async () => (await import('./acl.js')).command],
  ['ban', async () => (await import('./ban.js')).command],
  ['certs', async () => (await import('./certs.js')).command],
  ['clients', async () => (await import('./clients.js')).command],
  ['cluster', async () => (await import('./cluster.js')).command],
  ['config', async () => (await import('./config.js')).command],
  ['credentials', async () => (await import('./credentials.js')).command],
  ['denials', async () => (await import('./denials.js')).command],
  ['drain', async () => (await import('./drain.js')).command],
  ['kick', async () => (await import('./kick.js')).command],
  ['limits', async () => (await import('./limits.js')).command],
  ['serve', async () => (await import('./serve.js')).command],
  ['status', async () => (await import('./status.js')).command],
  ['storage', async () => (await import('./storage.js')).command],
  ['test', async () => (await import('./test.js')).command],
  ['top', async () => (await import('./top.js')).command],
  ['trace', async () => (await import('./trace.js')).command],
  ['user', async () => (await import('./user.js')).command],
]);

/**
 * From the arguments to the exit code: 0 for done, 2 for wrong usage or configuration, 1 for everything else that went
 * wrong. Never rejects.
 */
export async function runCli(args: readonly string[], raw: CommandIo, registry: Registry = commands): Promise<number> {
  const io = printableIo(raw);
  try {
    return await dispatch(args, io, registry);
  } catch (error) {
    io.stderr.write(`${redactUrls(complaint(error))}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function dispatch(args: readonly string[], io: CommandIo, registry: Registry): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined) {
    io.stderr.write(await overview(registry));
    return 2;
  }
  if (name === '--version' || name === '-v') {
    io.stdout.write(`${packageVersion()}\n`);
    return 0;
  }
  const helpFor = name === 'help' ? rest[0] : undefined;
  if (name === '--help' || name === '-h' || (name === 'help' && helpFor === undefined)) {
    io.stdout.write(await overview(registry));
    return 0;
  }
  const command = await find(helpFor ?? name, registry);
  if (helpFor !== undefined || asksForHelp(rest)) {
    io.stdout.write(`${command.help.trimEnd()}\n`);
    return 0;
  }
  return command.run(rest, io);
}

async function find(name: string, registry: Registry): Promise<Command> {
  const load = registry.get(name);
  if (load !== undefined) return load();
  const near = nearest(name, registry.keys());
  const hint = near === undefined ? 'see: iotlab-broker --help' : `did you mean "${near}"?`;
  throw new UsageError(`${JSON.stringify(name)} is not a command; ${hint}`);
}

function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  const options = end === -1 ? args : args.slice(0, end);
  return options.includes('--help') || options.includes('-h');
}

async function overview(registry: Registry): Promise<string> {
  const loaded = await Promise.all([...registry.values()].map((load) => load()));
  const width = Math.max(0, ...loaded.map(({ name }) => name.length));
  const lines = loaded.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return [
    'iotlab-broker: an MQTT broker that replicates the IoT-LAB service',
    '',
    'Usage: iotlab-broker COMMAND [ARGUMENTS] [--config FILE]',
    '',
    ...lines,
    '',
    'Help on a command: iotlab-broker COMMAND --help',
    'Exit codes: 0 done, 2 wrong usage or configuration, 1 anything else.',
    '',
  ].join('\n');
}

/** One line, except when a `UsageError` lists several. */
function complaint(error: unknown): string {
  if (!(error instanceof Error)) return `iotlab-broker: ${String(error)}`;
  if (error instanceof UsageError) return `iotlab-broker: ${error.message}`;
  const parts = [error.message];
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    if (!parts.some((part) => part.includes((cause as Error).message))) parts.push(cause.message);
  }
  return `iotlab-broker: ${parts.join(': ').replaceAll(/\s*\n\s*/g, ' ')}`;
}
