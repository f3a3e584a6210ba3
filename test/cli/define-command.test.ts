import assert from 'node:assert/strict';
import { test } from 'node:test';
import { action, type Command } from '../../src/cli/command.js';
import { commands, runCli } from '../../src/cli/command-line.js';
import { defineCommand } from '../../src/cli/define-command.js';
import { captureIo } from '../support/command-io.js';

const files = { file: { type: 'string', value: 'PATH', help: 'another file' } } as const;

const zoo = defineCommand({
  name: 'zoo',
  summary: 'keep animals',
  about: 'Keeps them in cages.',
  examples: ['iotlab-broker zoo add tiger'],
  does: {
    add: action({
      summary: 'take one more',
      arguments: ['ANIMAL', '[CAGE]'],
      options: {
        size: { type: 'string', value: 'small|large', help: 'how large it is' },
        food: { type: 'string', multiple: true, value: 'DISH', help: 'what it eats' },
        ...files,
      },
      run: async ({ args: [animal, cage], values: { size, food = [], file }, config }, io) => {
        io.stdout.write(JSON.stringify([animal, cage ?? null, size ?? null, food, file ?? null, config ?? null]));
        return 0;
      },
    }),
    feed: action({
      arguments: ['dry|fresh', '[MORE]…'],
      options: { quietly: { type: 'boolean', help: 'without a word' }, ...files },
      run: async ({ args }, io) => {
        io.stdout.write(args.join(' '));
        return 3;
      },
    }),
  },
});

const plain = defineCommand({
  name: 'nap',
  summary: 'sleep a little',
  about: 'Sleeps.',
  examples: ['iotlab-broker nap'],
  does: action({ options: { long: { type: 'boolean', help: 'until noon' } }, run: async () => 0 }),
});

const registry = new Map([zoo, plain].map((each): [string, () => Promise<Command>] => [each.name, async () => each]));

async function invoke(...args: string[]) {
  const io = captureIo();
  const code = await runCli(args, io, registry);
  return { code, out: io.out(), err: io.err() };
}

test('a sub-command gets its arguments and options, wherever they stand', async () => {
  const { code, out } = await invoke(
    ...['zoo', '--config', 'c.yaml', 'add', '--food', 'a', 'tiger', '--size', 'large', 'north', '--food', 'b'],
  );
  assert.deepEqual([code, JSON.parse(out)], [0, ['tiger', 'north', 'large', ['a', 'b'], null, 'c.yaml']]);
  const few = await invoke('zoo', 'add', 'tiger');
  assert.deepEqual(JSON.parse(few.out), ['tiger', null, null, [], null, null]);
  const rest = await invoke('zoo', 'feed', 'dry', '--', '--size', 'x');
  assert.deepEqual([rest.code, rest.out], [3, 'dry --size x']);
});

test('the help is made from the table', async () => {
  const { code, out } = await invoke('zoo', 'add', '--help');
  assert.equal(code, 0);
  assert.equal(
    out,
    [
      'Usage: iotlab-broker zoo add ANIMAL [CAGE]       take one more',
      '       iotlab-broker zoo feed dry|fresh [MORE]…',
      '',
      'Keeps them in cages.',
      '',
      '  --size small|large  add: how large it is',
      '  --food DISH         add: what it eats',
      '  --file PATH         another file',
      '  --quietly           feed: without a word',
      '  --config FILE       the configuration; without it IOTLAB_BROKER_CONFIG, else config/broker.yaml of the',
      '                      package, else the defaults',
      '',
      'Example: iotlab-broker zoo add tiger',
      '',
    ].join('\n'),
  );
});

test('wrong usage: exit code 2, what is known, what was probably meant, and the way on', async () => {
  const table: [string[], string][] = [
    [['zoo'], 'zoo: one of add, feed is missing; see: iotlab-broker zoo --help'],
    [['zoo', 'ad', 'tiger'], 'zoo: "ad" is not one of add, feed; did you mean add?'],
    [['zoo', 'constructor'], 'zoo: "constructor" is not one of add, feed; see: iotlab-broker zoo --help'],
    [['zoo', 'add'], 'ANIMAL is missing; usage: iotlab-broker zoo add ANIMAL [CAGE]'],
    // What is too much may be a password.
    [['zoo', 'add', 'a', 'b', 'hunter2'], 'too many arguments; usage: iotlab-broker zoo add ANIMAL [CAGE]'],
    [['zoo', 'add', 'a', '--siez', 'x'], "zoo: Unknown option '--siez'; did you mean --size?"],
    [['zoo', 'add', 'a', '--cofnig', 'x'], "zoo: Unknown option '--cofnig'; did you mean --config?"],
    [['zoo', 'add', 'a', '--hepl'], "zoo: Unknown option '--hepl'; did you mean --help?"],
    [['zoo', 'add', 'a', '--xyzzy'], "zoo: Unknown option '--xyzzy'; see: iotlab-broker zoo --help"],
    [['zoo', 'add', 'a', '--quietly'], '--quietly is for: iotlab-broker zoo feed'],
    [['zoo', 'add', 'a', '--size', 'big'], 'zoo: --size big is not one of small, large'],
    [['zoo', 'add', 'a', '--file', ''], 'zoo: --file needs a value: PATH'],
    [['zoo', 'feed', 'wet'], '"wet" is not one of dry, fresh; usage: iotlab-broker zoo feed dry|fresh [MORE]…'],
    [['nap', 'now'], 'too many arguments; usage: iotlab-broker nap'],
    [['nap', '--config'], "nap: Option '--config <value>' argument missing; see: iotlab-broker nap --help"],
  ];
  for (const [args, complaint] of table) {
    assert.deepEqual(await invoke(...args), { code: 2, out: '', err: `iotlab-broker: ${complaint}\n` });
  }
});

test('no command of the program refuses wrong usage in words of its own', async () => {
  for (const name of commands.keys()) {
    const io = captureIo();
    assert.equal(await runCli([name, '--xyzzy'], io), 2, name);
    assert.match(io.err(), /Unknown option '--xyzzy'/, name);
    assert.match(io.err(), new RegExp(`see: iotlab-broker ${name} --help\n$`), name);
  }
});
