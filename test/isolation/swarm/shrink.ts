import type { Program } from './program.js';

export interface ShrinkBudget {
  readonly runs: number;
  readonly ms: number;
}

/** Whether a smaller program still does the harm. */
export type StillHarms = (program: Program) => Promise<boolean>;

/**
 * Makes a program smaller for as long as it still does the harm: fewer groups, connections and steps, smaller numbers,
 * no options. Each step of it costs a whole trial, so what promises most is tried first, and the budget ends it.
 */
export async function shrink(program: Program, stillHarms: StillHarms, budget: ShrinkBudget): Promise<Program> {
  const untilMs = performance.now() + budget.ms;
  let runs = budget.runs;
  let smallest = program;
  for (let progress = true; progress; ) {
    progress = false;
    for (const way of ways) {
      // What was tried in vain is not tried again after a success elsewhere, only in the next round.
      for (let at = 0; ; ) {
        const smaller = way(smallest, at);
        if (smaller === null) break;
        if (runs === 0 || performance.now() > untilMs) return smallest;
        runs -= 1;
        if (await stillHarms(smaller)) {
          smallest = smaller;
          progress = true;
        } else at += 1;
      }
    }
  }
  return smallest;
}

/** A smaller program by its `at`-th chance of this kind; null when there are no more. */
type Way = (program: Program, at: number) => Program | null;

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
type Edit = () => void;

/** The chances that a kind of edit finds in a copy of the program. */
const way =
  (find: (holder: Json[] | { [key: string]: Json }, key: string, value: Json) => Edit[]): Way =>
  (program, at) => {
    const copy = structuredClone(program) as unknown as { [key: string]: Json };
    const edits: Edit[] = [];
    walk(copy, (holder, key, value) => edits.push(...find(holder, key, value)));
    const edit = edits[at];
    if (edit === undefined) return null;
    edit();
    return copy as unknown as Program;
  };

function walk(node: Json, visit: (holder: Json[] | { [key: string]: Json }, key: string, value: Json) => void): void {
  if (typeof node !== 'object' || node === null) return;
  for (const [key, value] of Object.entries(node)) {
    visit(node, key, value);
    walk(value, visit);
  }
}

const lists = new Set(['groups', 'steps', 'operator', 'limits']);
/** Without these a step means something else, or nothing. */
const essential = new Set(['name', 'about', 'seconds', 'do', 'text', 'at', 'on', 'keep', 'ms', 'connections', 'times']);
const least: Readonly<Record<string, number>> = { seconds: 2, times: 1, connections: 1, count: 1, ms: 1 };

const dropOne = (name: string): Way =>
  way((_, key, value) => {
    if (key !== name || !Array.isArray(value) || value.length < 2) return [];
    return value.map((_, index) => () => value.splice(index, 1));
  });

/** Numbers of this name: by `by`, in one go. */
const divide = (names: readonly string[], by: number): Way =>
  way((holder, key, value) => {
    if (!names.includes(key) || typeof value !== 'number' || Array.isArray(holder)) return [];
    const smaller = Math.max(least[key] ?? 0, Math.floor(value / by));
    if (smaller >= value) return [];
    return [
      () => {
        holder[key] = smaller;
      },
    ];
  });

const dropOperator: Way = (program, at) => {
  if (at > 0 || program.operator === undefined) return null;
  const { operator: _, ...rest } = program;
  return rest;
};

const unrepeat: Way = way((holder, _, value) => {
  if (!Array.isArray(holder) || typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  const { do: what, steps } = value;
  return what === 'repeat' && Array.isArray(steps) ? [() => holder.splice(holder.indexOf(value), 1, ...steps)] : [];
});

const dropOption: Way = way((holder, key, value) => {
  if (Array.isArray(holder) || essential.has(key) || lists.has(key) || key === 'of') return [];
  // Inside a text row or a step, whatever has a default.
  const plain = typeof value !== 'object' || key === 'will';
  const needed =
    ['filters', 'topics', 'topic', 'hex'].includes(key) ||
    (key === 'count' && 'do' in holder) ||
    holder.do === 'dribble' ||
    Object.keys(holder).length === 1;
  return plain && !needed ? [() => delete holder[key]] : [];
});

const sizes = ['count', 'bytes', 'levels', 'perPacket'] as const;
const ways: readonly Way[] = [
  dropOne('groups'),
  dropOperator,
  divide(['connections'], 8),
  dropOne('steps'),
  dropOne('operator'),
  divide(['connections', 'seconds'], 2),
  unrepeat,
  divide(sizes, 8),
  dropOption,
  divide([...sizes, 'times', 'ms'], 2),
];
