import { readFileSync } from 'node:fs';

/** Of a thread, since its start: for how long it had a processor, and for how long it could have run and had none. */
export interface RunTimes {
  readonly ranMs: number;
  readonly delayMs: number;
}

/** This process's main thread's, unless told. */
export function runTimes(thread = `self/task/${process.pid}`): RunTimes {
  const [ran, delay] = readFileSync(`/proc/${thread}/schedstat`, 'utf8').split(' ');
  return { ranMs: Number(ran) / 1e6, delayMs: Number(delay) / 1e6 };
}

export const runDelayMs = (thread?: string): number => runTimes(thread).delayMs;
