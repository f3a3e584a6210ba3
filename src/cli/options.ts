import { type ParseArgsConfig, parseArgs } from 'node:util';
import { nearest } from '../config/nearest.js';
import { UsageError } from '../errors.js';

type Options = NonNullable<ParseArgsConfig['options']>;

type Parsed<O extends Options> = ReturnType<
  typeof parseArgs<{ options: typeof commonOptions & O; allowPositionals: true; strict: true }>
>;

/** What every command understands. `--help` itself is answered before a command runs. */
export const commonOptions = {
  config: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const satisfies Options;

/** `util.parseArgs`, strict, with errors that name the nearest option and the command's help. */
export function parseOptions<const O extends Options>(command: string, args: readonly string[], options: O): Parsed<O> {
  try {
    const all = { ...commonOptions, ...options };
    return parseArgs({ args: [...args], options: all, allowPositionals: true, strict: true }) as Parsed<O>;
  } catch (error) {
    throw usage(command, error as Error, Object.keys({ ...commonOptions, ...options }));
  }
}

/** Exactly the positional arguments named, or a `UsageError` that shows how to call the command. */
export function expectArguments(command: string, given: readonly string[], names: readonly string[]): void {
  if (given.length === names.length) return;
  const call = ['iotlab-broker', command, ...names].join(' ');
  const why =
    given.length < names.length
      ? `${names[given.length]} is missing`
      : `too many arguments: ${given.slice(names.length).join(' ')}`;
  throw new UsageError(`${why}; usage: ${call}`);
}

/** Turns an error of `util.parseArgs` into one line for the person at the terminal. */
export function usage(command: string, error: Error, known: readonly string[] = []): UsageError {
  const first = error.message.split(/[.\n]/, 1)[0] ?? error.message;
  const typed = /'--?([^' =]+)/.exec(first)?.[1];
  const near = first.startsWith('Unknown option') && typed !== undefined ? nearest(typed, known) : undefined;
  const hint = near === undefined ? `see: iotlab-broker ${command} --help` : `did you mean --${near}?`;
  return new UsageError(`${command}: ${first}; ${hint}`, { cause: error });
}
