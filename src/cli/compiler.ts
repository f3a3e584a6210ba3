import { setFlagsFromString } from 'node:v8';

/**
 * Four times what V8 has in Node.js 20: how much of a function is run before V8 looks whether to optimize it. A connection
 * goes once through more than three hundred functions, and optimizing them all cost as much CPU as 200 connections do, in
 * the midst of the first thousand: without most of it those cost 14 % less (bench row "connect + authenticate +
 * subscribe"), and a start 100 ms of CPU less. A message's way is optimized a moment later.
 */
const BUDGET_BYTES = 4 * 66 * 1024;
/** From this version of Node.js on, V8 has no such flag, and waits about that long by itself. */
const PATIENT_NODE = 22;

/** Lets V8 optimize only what is used a lot. For the program's own process, and not for one that has a broker inside. */
export function optimizeLess(): void {
  if (Number.parseInt(process.versions.node, 10) >= PATIENT_NODE) return;
  setFlagsFromString(`--interrupt-budget=${BUDGET_BYTES}`);
}

/**
 * Lets V8 put more functions into one: the way of a message goes through some thirty small ones (reader, flow, route,
 * session, queue, outlet, outbox), which together are larger than what it stops at, so that half of them stayed calls.
 * Bench rows "QoS 1, 10 users, 1 → 1" and "QoS 0, 10 users, 1 → 1": 6 and 4 % less. For the process that serves, and not
 * for one that has a broker inside.
 */
export function inlineMore(): void {
  setFlagsFromString('--max-inlined-bytecode-size=1000');
  setFlagsFromString('--max-inlined-bytecode-size-cumulative=3000');
}
