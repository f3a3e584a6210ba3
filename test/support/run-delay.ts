import { readFileSync } from 'node:fs';

/** For how long, since its start, a thread could have run and had no processor; this process's main one unless told. */
export const runDelayMs = (thread = `self/task/${process.pid}`): number =>
  Number(readFileSync(`/proc/${thread}/schedstat`, 'utf8').split(' ')[1]) / 1e6;
