import type { RetainedMessage } from '../store/contract.js';

/** Sorted at once, or merged in one step. */
const RUN = 128;
const MERGED_PER_STEP = 512;

/** Sorts by topic, in steps: there may be as many as a user has. */
export function* byTopic(messages: readonly RetainedMessage[]): Generator<undefined, RetainedMessage[], void> {
  let runs: RetainedMessage[][] = [];
  for (let from = 0; from < messages.length; from += RUN) {
    if (from > 0) yield;
    runs.push(messages.slice(from, from + RUN).sort((a, b) => (a.topic < b.topic ? -1 : 1)));
  }
  while (runs.length > 1) {
    const merged: RetainedMessage[][] = [];
    for (let i = 0; i < runs.length; i += 2) {
      const [left, right] = [runs[i]!, runs[i + 1]];
      merged.push(right === undefined ? left : yield* merge(left, right));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

function* merge(
  left: readonly RetainedMessage[],
  right: readonly RetainedMessage[],
): Generator<undefined, RetainedMessage[], void> {
  const both: RetainedMessage[] = [];
  for (let [i, j] = [0, 0]; i < left.length || j < right.length; ) {
    const [a, b] = [left[i], right[j]];
    if (b === undefined || (a !== undefined && a.topic < b.topic)) {
      both.push(a!);
      i++;
    } else {
      both.push(b);
      j++;
    }
    if (both.length % MERGED_PER_STEP === 0) yield;
  }
  return both;
}
