// What connections cost: opens `count` of them, after `passing` that have gone again and `warmup` that do not count, `lanes`
// at a time or `perSecond`; each authenticates and subscribes to one filter. Then they stay, idle, to be weighed.
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMicroseconds, residentKilobytes } from './process.mjs';
import { Peer } from './wire.mjs';

/** For what a broker does by itself when its clients are quiet. */
const settleMs = 1_500;

/** Has a broker that can do so collect its garbage. */
async function settle({ pid, collects }) {
  await sleep(settleMs);
  if (!collects) return;
  // Twice: what is let go of when something is collected is collected the next time.
  for (let time = 0; time < 2; time += 1) {
    process.kill(pid, 'SIGUSR2');
    await sleep(settleMs / 3);
  }
}

/** Calls `step` with each number from `from` to `end`, `lanes` at a time. */
async function inLanes(lanes, from, end, step) {
  let next = from;
  const lane = async () => {
    while (next < end) await step(next++);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

export async function connections(target, { users, count, passing = 0, warmup = 0, lanes = 20, perSecond = 0 }) {
  const peers = [];
  let next = 0;
  const beside = target.beside ?? [];
  const comeIn = async (clientId, number) => {
    const user = users[number % users.length];
    const peer = await Peer.connect(target, clientId, user);
    await peer.subscribe([`iotlab/${user.login}/n/${number}`], 0);
    return peer;
  };
  const open = async (number) => peers.push(await comeIn(`c${process.pid}-${number}`, number));
  const atPace = async (end) => {
    const [first, startedMs] = [next, performance.now()];
    const opening = [];
    while (next < end) {
      const due = first + ((performance.now() - startedMs) / 1000) * perSecond;
      while (next < Math.min(due, end)) {
        const opened = open(next++);
        // Heard at the end.
        opened.catch(() => {});
        opening.push(opened);
      }
      await sleep(2);
    }
    await Promise.all(opening);
  };
  const upTo = async (end) => {
    if (perSecond > 0) return atPace(end);
    await inLanes(lanes, next, end, open);
    next = end;
  };
  await inLanes(lanes, 0, passing, async (number) => (await comeIn(`p${process.pid}-${number}`, number)).close());
  await upTo(warmup);
  await settle(target);
  const used = (pids) => ({ cpu: cpuMicroseconds(pids), kilobytes: residentKilobytes(pids) });
  const before = { ...used(target.pid), beside: used(beside), at: performance.now() };
  await upTo(warmup + count);
  const seconds = (performance.now() - before.at) / 1000;
  const cpu = cpuMicroseconds(target.pid) - before.cpu;
  const besideCpu = cpuMicroseconds(beside) - before.beside.cpu;
  await settle(target);
  const result = {
    microseconds: cpu / count,
    rate: count / seconds,
    kilobytes: (residentKilobytes(target.pid) - before.kilobytes) / count,
    besideMicroseconds: besideCpu / count,
    besideKilobytes: (residentKilobytes(beside) - before.beside.kilobytes) / count,
  };
  for (const peer of peers) peer.close();
  return result;
}
