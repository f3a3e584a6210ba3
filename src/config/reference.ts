import type { Leaf, Node, Rows, Section } from './node.js';
import { configSchema } from './schema.js';
import { writeUnits } from './units.js';

const width = 110;

/**
 * The reference: a YAML file with every key, its description and its default. Default paths are written as they are
 * for a file in the package's config/ folder, so that the file as a whole says what the defaults say.
 */
export function configReference(): string {
  const head = [
    ...comment(
      'Every key of the configuration with its default; keep the ones that you change. Copied to broker.yaml in this folder, it is read without --config. Relative paths are relative to the file, also the default ones that are commented out; only in this folder those are below the clone, or, of an installed package, below ~/.local/share/iotlab-broker. Durations (…Ms) have a unit (ms, s, m, h, d) or are milliseconds, sizes (…Bytes) have one (KiB, MiB, GiB) or are bytes.',
      '',
    ),
    '',
  ];
  const parts = Object.entries(configSchema.keys).map(([name, node]) => entry(name, node, '').join('\n'));
  return `${head.join('\n')}\n${parts.join('\n\n')}\n`;
}

/** `said`: whatever needs a restart, the section around has said so. */
function entry(name: string, node: Node, indent: string, said = false): string[] {
  if (node.kind === 'section') return sectionEntry(name, node, indent, said);
  if (node.kind === 'rows') return rowsEntry(name, node, indent, said);
  return [
    ...comment(described(node, said), indent),
    `${indent}${isDefaultPath(node) ? '# ' : ''}${name}: ${written(node)}`,
  ];
}

/** Commented out: standing there, it would be relative to the file it is copied to. */
function isDefaultPath(node: Node): boolean {
  return node.kind === 'leaf' && typeof node.default === 'string' && node.isPath(node.default);
}

function sectionEntry(name: string, node: Section, indent: string, said: boolean): string[] {
  const whole = allAtStart(node);
  // A comment at the end would seem to belong to what follows.
  const ordered = Object.entries(node.keys).sort(([, a], [, b]) => Number(isDefaultPath(b)) - Number(isDefaultPath(a)));
  const keys = ordered.flatMap(([key, child]) => entry(key, child, `${indent}  `, said || whole));
  const doc = whole && !said ? `${node.doc} Changes need a restart.` : node.doc;
  return [...comment(doc, indent), `${indent}${name}:`, ...keys];
}

function allAtStart(node: Node): boolean {
  if (node.kind === 'section') return Object.values(node.keys).every(allAtStart);
  return node.atStart;
}

function rowsEntry(name: string, node: Rows, indent: string, said: boolean): string[] {
  const none = node.default.length === 0;
  const about = Object.entries(node.row.keys)
    .filter((pair): pair is [string, Leaf<unknown>] => pair[1].kind === 'leaf')
    .flatMap(([key, child]) => comment(`${key}: ${described(child)}`, none ? indent : `${indent}  `));
  const head = comment(node.atStart && !said ? `${node.doc} Changes need a restart.` : node.doc, indent);
  if (none) return [...head, ...about, `${indent}${name}: []`];
  return [...head, `${indent}${name}:`, ...about, ...node.default.map((row) => `${indent}  - ${flow(row)}`)];
}

function described({ doc, telling, accepts, optional, atStart }: Leaf<unknown>, said = false): string {
  const start = atStart && !said ? ' A change needs a restart.' : '';
  const may = `${doc}${optional ? ' May be left out.' : ''}${start}`;
  return telling ? `${may} Accepts ${accepts}.` : may;
}

function written({ default: value, isPath, units }: Leaf<unknown>): string {
  if (units !== null) return writeUnits(value as number, units);
  if (typeof value !== 'string') return flow(value);
  return isPath(value) || /^[a-z]+$/.test(value) ? value : JSON.stringify(value);
}

function flow(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flow).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{ ${Object.entries(value)
    .map(([key, it]) => `${key}: ${flow(it)}`)
    .join(', ')} }`;
}

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
