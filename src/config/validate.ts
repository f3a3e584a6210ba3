import { resolve } from 'node:path';
import { type Document, isAlias, isMap, isScalar, isSeq, type LineCounter, type Node as YamlNode } from 'yaml';
import { nearest } from './nearest.js';
import type { Leaf, Node, Rows, Section } from './node.js';
import { redactValue } from './redact.js';
import { readUnits } from './units.js';

/** Something in a file that the operator has to mend. */
export interface Problem {
  /** As `credentials.cache.ttlMs` or `acl[1].topic`. */
  readonly key: string;
  /** From 1. */
  readonly line: number;
  readonly text: string;
}

export interface Validated {
  /** What the file says, checked, its relative paths resolved; only as complete as the file is. */
  readonly value: Readonly<Record<string, unknown>>;
  readonly problems: readonly Problem[];
  /** The line of each key that the file has. */
  readonly lines: ReadonlyMap<string, number>;
}

/** Checks a parsed YAML document against the schema and collects every problem, not just the first. */
export function validate(schema: Section, document: Document, counter: LineCounter, folder: string): Validated {
  const walk = new Walk(document, counter, folder, schema);
  const value = walk.section(schema, document.contents as YamlNode | null, '', 1);
  return { value: value ?? {}, problems: walk.problems, lines: walk.lines };
}

class Walk {
  readonly problems: Problem[] = [];
  readonly lines = new Map<string, number>();
  readonly #document: Document;
  readonly #counter: LineCounter;
  readonly #folder: string;
  readonly #schema: Section;

  constructor(document: Document, counter: LineCounter, folder: string, schema: Section) {
    this.#document = document;
    this.#counter = counter;
    this.#folder = folder;
    this.#schema = schema;
  }

  section(schema: Section, node: YamlNode | null, key: string, above: number): Record<string, unknown> | undefined {
    const line = this.#lineOf(node, above);
    const map = this.#resolved(node);
    // A section whose keys are all commented out reads as null.
    if (map === null || (isScalar(map) && map.value === null)) return {};
    if (!isMap(map)) return this.#refuse(key, line, `${this.#shown(node)} is not a section: it has keys of its own`);
    const entries: [string, unknown][] = [];
    for (const { key: name, value } of map.items) {
      const word = isScalar(name) ? String(name.value) : String(name);
      const path = key === '' ? word : `${key}.${word}`;
      const at = this.#lineOf(name as YamlNode, line);
      this.lines.set(path, at);
      if (Object.hasOwn(schema.keys, word)) {
        entries.push([word, this.#node(schema.keys[word]!, value as YamlNode | null, path, at)]);
      } else this.#unknown(schema, word, key, at);
    }
    return Object.fromEntries(entries);
  }

  #node(schema: Node, node: YamlNode | null, key: string, above: number): unknown {
    if (schema.kind === 'section') return this.section(schema, node, key, above);
    return schema.kind === 'rows' ? this.#rows(schema, node, key, above) : this.#leaf(schema, node, key, above);
  }

  #rows(schema: Rows, node: YamlNode | null, key: string, above: number): unknown {
    const line = this.#lineOf(node, above);
    const list = this.#resolved(node);
    if (!isSeq(list))
      return this.#refuse(key, line, 'must be a list; [] is an empty one, without the key there is the default');
    return list.items.map((item, i) => {
      const path = `${key}[${i}]`;
      const at = this.#lineOf(item as YamlNode, line);
      const row = this.section(schema.row, item as YamlNode, path, at);
      if (row === undefined) return undefined;
      for (const [name, key] of Object.entries(schema.row.keys)) {
        if (name in row || (key.kind === 'leaf' && key.optional)) continue;
        this.#refuse(`${path}.${name}`, at, 'is missing');
      }
      return row;
    });
  }

  #leaf(schema: Leaf<unknown>, node: YamlNode | null, key: string, above: number): unknown {
    const line = this.#lineOf(node, above);
    const typed: unknown = node === null ? null : node.toJS(this.#document);
    const value = schema.units === null ? typed : readUnits(typed, schema.units);
    if (value === null) return this.#refuse(key, line, `has no value: it must be ${schema.accepts}`);
    const why = schema.problem(value);
    if (why === '') return this.#refuse(key, line, `${shown(typed)} is not accepted: it must be ${schema.accepts}`);
    if (why !== null) return this.#refuse(key, line, `${shown(typed)} ${why}`);
    return typeof value === 'string' && schema.isPath(value) ? resolve(this.#folder, value) : value;
  }

  #unknown(schema: Section, word: string, key: string, line: number): void {
    const near = nearest(word, Object.keys(schema.keys)) ?? undefined;
    const path = key === '' ? word : `${key}.${word}`;
    const elsewhere = [...pathsNamed(this.#schema, word, '')].filter((it) => it !== path);
    const prefix = key === '' ? '' : `${key}.`;
    let text = 'unknown key';
    if (near !== undefined) text += `; did you mean ${prefix}${near}?`;
    else if (elsewhere.length > 0) text += `; did you mean ${elsewhere.join(' or ')}?`;
    else text += `; known here: ${Object.keys(schema.keys).join(', ')}`;
    this.#refuse(path, line, text);
  }

  #refuse(key: string, line: number, text: string): undefined {
    this.problems.push({ key: key === '' ? 'the file' : key, line, text });
  }

  #resolved(node: YamlNode | null): YamlNode | null {
    return isAlias(node) ? (node.resolve(this.#document) ?? null) : node;
  }

  #lineOf(node: YamlNode | null, otherwise: number): number {
    const offset = node?.range?.[0];
    return offset === undefined ? otherwise : this.#counter.linePos(offset).line;
  }

  #shown(node: YamlNode | null): string {
    return shown(node?.toJS(this.#document));
  }
}

/** Where in the schema a key of this name is. */
function* pathsNamed(schema: Section, word: string, prefix: string): Generator<string> {
  for (const [name, node] of Object.entries(schema.keys)) {
    if (name === word) yield prefix + name;
    if (node.kind === 'section') yield* pathsNamed(node, word, `${prefix}${name}.`);
  }
}

function shown(value: unknown): string {
  const text = JSON.stringify(redactValue(value)) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
