import { isDeepStrictEqual } from 'node:util';
import type { Config } from './config.js';
import type { Node } from './node.js';
import { configSchema } from './schema.js';

/** Keys that have another value. */
export interface Changes {
  /** Those that a running broker can take over. */
  readonly live: readonly string[];
  /** Those that only a start reads. */
  readonly atStart: readonly string[];
}

/** What is different in `after`. Lists of rows are one key each: `acl`. */
export function changesOf(before: Config, after: Config): Changes {
  const live: string[] = [];
  const atStart: string[] = [];
  for (const { key, node, old, young } of pairs(configSchema, '', before, after)) {
    if (isDeepStrictEqual(old, young)) continue;
    (node.kind !== 'section' && node.atStart ? atStart : live).push(key);
  }
  return { live, atStart };
}

/** `after`, but for what only a start reads: that is still as it was. */
export function inForce(before: Config, after: Config): Config {
  return mixed(configSchema, before, after) as Config;
}

interface Pair {
  readonly key: string;
  readonly node: Node;
  readonly old: unknown;
  readonly young: unknown;
}

function* pairs(node: Node, key: string, old: unknown, young: unknown): Generator<Pair> {
  if (node.kind !== 'section') {
    yield { key, node, old, young };
    return;
  }
  for (const [name, child] of Object.entries(node.keys)) {
    yield* pairs(child, key === '' ? name : `${key}.${name}`, part(old, name), part(young, name));
  }
}

function mixed(node: Node, old: unknown, young: unknown): unknown {
  if (node.kind !== 'section') return node.atStart ? old : young;
  return Object.fromEntries(
    Object.entries(node.keys).map(([name, child]) => [name, mixed(child, part(old, name), part(young, name))]),
  );
}

function part(value: unknown, name: string): unknown {
  return (value as Readonly<Record<string, unknown>>)[name];
}
