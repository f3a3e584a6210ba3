import { type Action, actionsOf, type Description, type Option, type Options } from './command.js';

const width = 110;

export const commonOptions = {
  config: {
    type: 'string',
    value: 'FILE',
    help: 'the configuration; without it IOTLAB_BROKER_CONFIG, else config/broker.yaml of the package, else the defaults',
  },
} as const satisfies Options;

/** `iotlab-broker user add LOGIN` */
export function usageLine(command: string, name: string, { arguments: names = [] }: Action): string {
  return ['iotlab-broker', command, name, ...names].filter((word) => word !== '').join(' ');
}

/** What `--help` shows: usage, what it is about, every option, examples. */
export function helpText(description: Description): string {
  const actions = actionsOf(description);
  const lines = [...actions].map(([name, action]) => [usageLine(description.name, name, action), action.summary ?? '']);
  const options = optionsOf(actions);
  return [
    ...inTwoColumns('Usage: ', lines),
    '',
    description.about.trim(),
    '',
    ...inTwoColumns('  ', [...options, ...entries(commonOptions)]),
    '',
    ...description.examples.map((example, i) => `${i === 0 ? 'Example: ' : '         '}${example}`),
    '',
  ].join('\n');
}

/** Every option once, with the sub-commands that it is for unless it is for all. */
function optionsOf(actions: ReadonlyMap<string, Action>): string[][] {
  const found = new Map<string, { readonly option: Option; readonly of: string[] }>();
  for (const [name, { options = {} }] of actions) {
    for (const [key, option] of Object.entries(options)) {
      const known = found.get(key);
      if (known === undefined) found.set(key, { option, of: [name] });
      else known.of.push(name);
    }
  }
  return [...found].map(([key, { option, of }]) => {
    const whose = of.length === actions.size ? '' : `${of.join(', ')}: `;
    return [flagOf(key, option), `${whose}${option.help}`];
  });
}

function entries(options: Options): string[][] {
  return Object.entries(options).map(([key, option]) => [flagOf(key, option), option.help]);
}

function flagOf(key: string, { value }: Option): string {
  return value === undefined ? `--${key}` : `--${key} ${value}`;
}

/** Text on the right, wrapped, behind words on the left. `first` is spaces from the second row on. */
function inTwoColumns(first: string, rows: readonly string[][]): string[] {
  const left = Math.max(...rows.map(([word = '']) => word.length));
  return rows.flatMap(([word = '', text = ''], i) => {
    const margin = i === 0 ? first : ' '.repeat(first.length);
    const wrapped = wrap(text, width - first.length - left - 2);
    return wrapped.map((line, j) =>
      `${j === 0 ? margin + word.padEnd(left) : ' '.repeat(first.length + left)}  ${line}`.trimEnd(),
    );
  });
}

function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > columns) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
