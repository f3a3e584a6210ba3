import { redactValue } from './redact.js';
import { durations, sizes, type Units, writeUnits } from './units.js';

/**
 * The pieces that the configuration's schema is written in. A node knows its default, its description and how to judge
 * a value; types, validation, defaults and the reference all come from it.
 */
export type Node = Leaf<unknown> | Rows | Section;

export interface Leaf<T> {
  readonly kind: 'leaf';
  readonly doc: string;
  readonly default: T;
  /** What it accepts, as the end of the sentence "… must be". */
  readonly accepts: string;
  /** Whether the reference says so too: not where the name and the default do. */
  readonly telling: boolean;
  /** Paths are resolved against the folder of the file that names them; `isPath` leaves words like `memory` alone. */
  readonly isPath: (value: string) => boolean;
  /** The value may also be written in one of these. */
  readonly units: Units | null;
  /** A row may do without it. */
  readonly optional: boolean;
  /** Read when the broker starts, and not when it reads its configuration again. */
  readonly atStart: boolean;
  /** Null when the value is fine; else why not, as a whole phrase, or '' when `accepts` says it all. */
  problem(value: unknown): string | null;
}

/** Of a row that may do without it. */
export interface OptionalLeaf<T> extends Leaf<T> {
  readonly optional: true;
}

export interface Section {
  readonly kind: 'section';
  readonly doc: string;
  readonly keys: Readonly<Record<string, Node>>;
}

/** A list of sections. */
export interface Rows {
  readonly kind: 'rows';
  readonly doc: string;
  readonly row: Section;
  readonly default: readonly unknown[];
  /** As of a leaf. */
  readonly atStart: boolean;
}

/** The type of the value that a node describes. */
export type Infer<N> =
  N extends Leaf<infer T>
    ? T
    : N extends { readonly kind: 'section'; readonly keys: infer K }
      ? { readonly [P in keyof K as K[P] extends { readonly optional: true } ? never : P]: Infer<K[P]> } & {
          readonly [P in keyof K as K[P] extends { readonly optional: true } ? P : never]?: Infer<K[P]>;
        }
      : N extends { readonly kind: 'rows'; readonly row: infer R }
        ? readonly Infer<R>[]
        : never;

/** The longest delay of Node's timers: about 24.8 days. */
const longestTimerMs = 2_147_483_647;

const never = () => false;

function leaf<T>(value: T, doc: string, accepts: string, problem: Leaf<T>['problem'], more: Partial<Leaf<T>> = {}) {
  return {
    kind: 'leaf',
    default: value,
    doc,
    accepts,
    problem,
    telling: true,
    isPath: never,
    units: null,
    optional: false,
    atStart: false,
    ...more,
  } as Leaf<T>;
}

/** A row may do without this key: then it says nothing. */
export function optional<T>(key: Leaf<T>): OptionalLeaf<T> {
  return { ...key, optional: true };
}

/** Another value of this key, or of any key or list of this section, needs a restart. */
export function atStart<S extends Section>(node: S): S;
export function atStart<T>(node: Leaf<T>): Leaf<T>;
export function atStart(node: Node): Node {
  if (node.kind !== 'section') return { ...node, atStart: true };
  const keys = Object.entries(node.keys).map(([name, key]) => [name, (atStart as (key: Node) => Node)(key)]);
  return { ...node, keys: Object.fromEntries(keys) };
}

/** The same for many, with a description that is short enough for all of them. */
export function optionalAll<K extends Readonly<Record<string, Leaf<never> | Leaf<number>>>>(
  keys: K,
  doc: string,
): { readonly [P in keyof K]: OptionalLeaf<Infer<K[P]>> } {
  const entries = Object.entries(keys).map(([name, key]) => [name, { ...key, optional: true, telling: false, doc }]);
  return Object.fromEntries(entries);
}

interface Range {
  readonly min?: number;
  readonly max?: number;
}

/** A whole number from `min` to `max`. */
export function integer(value: number, doc: string, range: Range = {}) {
  return number(value, doc, range, 'a whole number');
}

/** How long something is: a number of milliseconds, or in units such as `14d`. */
export function duration(value: number, doc: string, range: Range) {
  return number(value, doc, range, 'a duration', {
    units: durations,
    hint: 'such as 10s, 15m, 14d; bare: milliseconds',
  });
}

/** A deadline that a timer keeps. */
export function durationMs(value: number, doc: string, { min = 1, max = longestTimerMs }: Range = {}) {
  return duration(value, doc, { min, max });
}

/** A number of bytes, or in units such as `16MiB`. */
export function bytes(value: number, doc: string, range: Range = {}) {
  return number(value, doc, range, 'a size', { units: sizes, hint: 'such as 512KiB, 16MiB; bare: bytes' });
}

function number(
  value: number,
  doc: string,
  { min = 0, max = Number.MAX_SAFE_INTEGER }: Range,
  what: string,
  spelling: { readonly units: Units; readonly hint: string } | null = null,
) {
  const limit = (it: number) => (spelling === null ? String(it) : writeUnits(it, spelling.units));
  const range = max === Number.MAX_SAFE_INTEGER ? `from ${limit(min)}` : `from ${limit(min)} to ${limit(max)}`;
  const fits = (it: unknown) => typeof it === 'number' && Number.isSafeInteger(it) && it >= min && it <= max;
  return leaf<number>(
    value,
    doc,
    spelling === null ? `${what} ${range}` : `${what} ${range} (${spelling.hint})`,
    (it) => (fits(it) ? null : ''),
    {
      telling: min > 1 || (max !== Number.MAX_SAFE_INTEGER && max !== longestTimerMs),
      units: spelling?.units ?? null,
    },
  );
}

export function flag(value: boolean, doc: string) {
  return leaf<boolean>(value, doc, 'true or false', (it) => (typeof it === 'boolean' ? null : ''), { telling: false });
}

/** One of a few words. */
export function choice<const T extends string>(value: NoInfer<T>, doc: string, words: readonly T[]) {
  const accepts = `one of ${words.join(', ')}`;
  return leaf<T>(value, doc, accepts, (it) => (words.includes(it as T) ? null : ''));
}

interface TextOptions {
  /** May it be ''? */
  readonly empty?: boolean;
  readonly accepts?: string;
  /** Why this text will not do, or null. */
  readonly problem?: (text: string) => string | null;
}

export function text(value: string, doc: string, { empty = false, accepts, problem }: TextOptions = {}) {
  return leaf<string>(
    value,
    doc,
    accepts ?? (empty ? 'text' : 'text that is not empty'),
    (it) => {
      if (typeof it !== 'string' || it.includes('\0')) return '';
      if (it === '') return empty ? null : '';
      return problem?.(it) ?? null;
    },
    { telling: accepts !== undefined },
  );
}

/** A file or folder; a word in `words` stands for itself. '' (nothing) only where `empty` says so. */
export function path(value: string, doc: string, { empty = false, words = [] as readonly string[] } = {}) {
  const accepts = ['a path', ...words, ...(empty ? ["''"] : [])].join(' or ');
  const problem = (it: unknown) => (typeof it === 'string' && !it.includes('\0') && (it !== '' || empty) ? null : '');
  return leaf<string>(value, doc, accepts, problem, {
    telling: false,
    isPath: (it) => it !== '' && !words.includes(it),
  });
}

interface TextsOptions extends TextOptions {
  readonly accepts: string;
  /** What is wrong with an empty list, where that is nothing that anybody would mean. */
  readonly none?: string;
}

/** A list of texts. */
export function texts(value: readonly string[], doc: string, options: TextsOptions) {
  const one = text('', '', options);
  return leaf<readonly string[]>(value, doc, `a list of: ${options.accepts}`, (it) => {
    if (!Array.isArray(it)) return '';
    if (it.length === 0 && options.none !== undefined) return options.none;
    for (const item of it) {
      const why = one.problem(item);
      if (why !== null) return `${JSON.stringify(redactValue(item))} ${why === '' ? `is not ${options.accepts}` : why}`;
    }
    return null;
  });
}

export function section<const K extends Readonly<Record<string, Node>>>(doc: string, keys: K) {
  return { kind: 'section', doc, keys } as const;
}

export function rows<const R extends Section>(doc: string, row: R, value: readonly Infer<R>[]) {
  return { kind: 'rows', doc, row, default: value, atStart: false } as const;
}
