import { parseArgs } from 'node:util';
import { nearest } from '../config/nearest.js';
import { UsageError } from '../errors.js';
import { type Action, actionsOf, type Command, type Description, type Given, type Options } from './command.js';
import { commonOptions, helpText, usageLine } from './help.js';

/** A command from its description: help, checks, and errors that name what is known and what was probably meant. */
export function defineCommand(description: Description): Command {
  const { name, summary } = description;
  const actions = actionsOf(description);
  return {
    name,
    summary,
    help: helpText(description),
    run: async (args, io) => {
      const { values, positionals } = parse(name, args, optionsOf(actions));
      const plain = actions.has('');
      const chosen = plain ? '' : chooseAction(name, actions, positionals[0]);
      const action = actions.get(chosen)!;
      checkOptions(name, chosen, values, actions);
      const given = plain ? positionals : positionals.slice(1);
      checkArguments(usageLine(name, chosen, action), action.arguments ?? [], given);
      const { config, ...own } = values;
      return action.run({ args: given, values: own, config: config as string | undefined } as Given, io);
    },
  };
}

type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

function optionsOf(actions: ReadonlyMap<string, Action>): Options {
  return Object.assign({}, ...[...actions.values()].map(({ options }) => options), commonOptions);
}

function parse(command: string, args: readonly string[], options: Options): { values: Values; positionals: string[] } {
  try {
    return parseArgs({ args: withNumbers(args, options), options, allowPositionals: true, strict: true });
  } catch (error) {
    const { message } = error as Error;
    const [, ambiguous] = /^Option '(--[a-z-]+)' argument is ambiguous/.exec(message) ?? [];
    if (ambiguous !== undefined) {
      throw new UsageError(`${command}: a value that begins with a dash is written ${ambiguous}=VALUE`, {
        cause: error,
      });
    }
    const first = message.split(/[.\n]/, 1)[0] ?? message;
    const typed = /'--?([^' =]+)/.exec(first)?.[1];
    const near =
      first.startsWith('Unknown option') && typed !== undefined
        ? nearest(typed, [...Object.keys(options), 'help'])
        : undefined;
    throw new UsageError(`${command}: ${first}; ${hint(near === undefined ? near : `--${near}`, command)}`, {
      cause: error,
    });
  }
}

/** `--for -1h` is a value, and a wrong one: no option begins with a digit. */
function withNumbers(args: readonly string[], options: Options): string[] {
  const joined: string[] = [];
  const end = args.includes('--') ? args.indexOf('--') : args.length;
  for (const arg of args.slice(0, end)) {
    const before = joined.at(-1);
    const takesValue = before?.startsWith('--') === true && options[before.slice(2)]?.type === 'string';
    if (takesValue && /^-\d/.test(arg)) joined[joined.length - 1] = `${before}=${arg}`;
    else joined.push(arg);
  }
  return [...joined, ...args.slice(end)];
}

function chooseAction(command: string, actions: ReadonlyMap<string, Action>, typed: string | undefined): string {
  const known = [...actions.keys()].join(', ');
  if (typed === undefined) throw new UsageError(`${command}: one of ${known} is missing; ${hint(undefined, command)}`);
  if (actions.has(typed)) return typed;
  const near = nearest(typed, actions.keys());
  throw new UsageError(`${command}: ${JSON.stringify(typed)} is not one of ${known}; ${hint(near, command)}`);
}

/** An option of another sub-command is no unknown one; a value that is one of a few words is checked here. */
function checkOptions(command: string, chosen: string, values: Values, actions: ReadonlyMap<string, Action>): void {
  const own: Options = { ...actions.get(chosen)!.options, ...commonOptions };
  for (const [key, given] of Object.entries(values)) {
    const option = own[key];
    if (option === undefined) {
      const whose = [...actions].filter(([, { options }]) => options !== undefined && key in options);
      throw new UsageError(`--${key} is for: ${whose.map(([name]) => `iotlab-broker ${command} ${name}`).join(', ')}`);
    }
    if (option.type === 'boolean') continue;
    for (const value of [given].flat()) {
      if (value === '') throw new UsageError(`${command}: --${key} needs a value: ${option.value ?? 'it is empty'}`);
      const words = wordsOf(option.value ?? '');
      if (words !== null && !words.includes(String(value))) {
        throw new UsageError(`${command}: --${key} ${value} is not one of ${words.join(', ')}`);
      }
    }
  }
}

/** What was typed is not repeated, where it is too much: it may be a password. */
function checkArguments(usage: string, names: readonly string[], given: readonly string[]): void {
  const missing = names.find((name, i) => i >= given.length && !name.startsWith('['));
  if (missing !== undefined) throw new UsageError(`${missing} is missing; usage: ${usage}`);
  if (given.length > names.length && names.at(-1)?.endsWith('…') !== true) {
    throw new UsageError(`too many arguments; usage: ${usage}`);
  }
  for (const [i, name] of names.entries()) {
    const words = wordsOf(name);
    const word = given[i];
    if (word === undefined || words === null || words.includes(word)) continue;
    throw new UsageError(`${JSON.stringify(word)} is not one of ${words.join(', ')}; usage: ${usage}`);
  }
}

/** Of `read|write`: the words. Null for a name, such as LOGIN. */
function wordsOf(name: string): string[] | null {
  return /^[a-z]+(\|[a-z]+)+$/.test(name) ? name.split('|') : null;
}

function hint(near: string | undefined, command: string): string {
  return near === undefined ? `see: iotlab-broker ${command} --help` : `did you mean ${near}?`;
}
