import type { Leaf, Node, Rows, Section } from './node.js';
import { configSchema } from './schema.js';

const width = 110;

/**
 * The reference: a YAML file with every key, its description and its default. Default paths are written as they are
 * for a file in the package's config/ folder, so that the file as a whole says what the defaults say.
 */
export function configReference(): string {
  const head = [
    ...comment(
      'Every key of the configuration with its default; keep the ones that you change. Copied to broker.yaml in this folder, it is read without --config. Relative paths are relative to the file. Durations (…Ms) are milliseconds, sizes (…Bytes) bytes.',
      '',
    ),
    '',
  ];
  const parts = Object.entries(configSchema.keys).map(([name, node]) => entry(name, node, '').join('\n'));
  return `${head.join('\n')}\n${parts.join('\n\n')}\n`;
}

function entry(name: string, node: Node, indent: string): string[] {
  if (node.kind === 'section') return sectionEntry(name, node, indent);
  if (node.kind === 'rows') return rowsEntry(name, node, indent);
  const value = written(node);
  const sense = inWords(name, node.default);
  return [...comment(described(node), indent), `${indent}${name}: ${value}${sense}`];
}

function sectionEntry(name: string, node: Section, indent: string): string[] {
  const keys = Object.entries(node.keys).flatMap(([key, child]) => entry(key, child, `${indent}  `));
  return [...comment(node.doc, indent), `${indent}${name}:`, ...keys];
}

function rowsEntry(name: string, node: Rows, indent: string): string[] {
  const about = Object.entries(node.row.keys)
    .filter((pair): pair is [string, Leaf<unknown>] => pair[1].kind === 'leaf')
    .flatMap(([key, child]) => comment(`${key}: ${described(child)}`, `${indent}  `));
  const list = node.default.map((row) => `${indent}  - ${flow(row)}`);
  return [...comment(node.doc, indent), `${indent}${name}:`, ...about, ...list];
}

function described({ doc, telling, accepts }: Leaf<unknown>): string {
  return telling ? `${doc} Accepts ${accepts}.` : doc;
}

function written({ default: value, isPath }: Leaf<unknown>): string {
  if (typeof value !== 'string') return flow(value);
  return isPath(value) ? `../${value}` : /^[a-z]+$/.test(value) ? value : JSON.stringify(value);
}

function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{ ${Object.entries(value)
    .map(([key, it]) => `${key}: ${flow(it)}`)
    .join(', ')} }`;
}

/** ` # 14 days` behind 1209600000. */
function inWords(name: string, value: unknown): string {
  if (typeof value !== 'number') return '';
  const units = name.endsWith('Ms') ? times : name.includes('Bytes') ? sizes : [];
  const unit = units.find(([size]) => value >= size && value % size === 0);
  if (unit === undefined) return '';
  const count = value / unit[0];
  return ` # ${count} ${unit[1]}${count === 1 || unit[1] === 'MiB' ? '' : 's'}`;
}

const times: readonly (readonly [number, string])[] = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
  [1_000, 'second'],
];
const sizes: readonly (readonly [number, string])[] = [[1024 * 1024, 'MiB']];

function comment(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = `${indent}#`;
  for (const word of text.split(' ')) {
    if (line.length + 1 + word.length > width) {
      lines.push(line);
      line = `${indent}#`;
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
