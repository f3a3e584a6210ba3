import { type Action, actionsOf, type Description, type Option, type Options } from './command.js';

const width = 110;
/** What stands on the left may be so wide; a usage line is never longer than that. */
const widest = 48;

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
    ...wrap(description.about.trim().replaceAll('\n', ' '), width),
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

/**
 * Text on the right, wrapped, behind words on the left; below them where they are long. `first` is spaces from the second
 * row on.
 */
function inTwoColumns(first: string, rows: readonly string[][]): string[] {
  const fits = ([word = '']: string[]) => word.length <= widest;
  const left = Math.max(...rows.filter(fits).map(([word = '']) => word.length), 0);
  return rows.flatMap((row, i) => {
    const [word = '', text = ''] = row;
    const margin = i === 0 ? first : ' '.repeat(first.length);
    const wrapped = wrap(text, width - first.length - left - 2);
    const head = fits(row) ? [] : [(margin + word).trimEnd()];
    return [
      ...head,
      ...wrapped.map((line, j) =>
        `${j === 0 && fits(row) ? margin + word.padEnd(left) : ' '.repeat(first.length + left)}  ${line}`.trimEnd(),
      ),
    ].filter((line) => line !== '');
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
