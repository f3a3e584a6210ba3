// What connections cost: opens `count` of them, 20 at a time; each authenticates and subscribes to one filter. Then
// they stay, idle, to be weighed.
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMicroseconds, residentKilobytes } from './process.mjs';
import { Peer } from './wire.mjs';

const lanes = 20;

export async function connections(target, { users, count }) {
  const peers = [];
  let next = 0;
  const beside = target.beside ?? [];
  const used = (pids) => ({ cpu: cpuMicroseconds(pids), kilobytes: residentKilobytes(pids) });
  const before = { ...used(target.pid), beside: used(beside), at: performance.now() };
  const lane = async () => {
    while (next < count) {
      const number = next++;
      const user = users[number % users.length];
      const peer = await Peer.connect(target, `c${process.pid}-${number}`, user);
      await peer.subscribe([`iotlab/${user.login}/n/${number}`], 0);
      peers.push(peer);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  const seconds = (performance.now() - before.at) / 1000;
  await sleep(1500);
  const result = {
    microseconds: (cpuMicroseconds(target.pid) - before.cpu) / count,
    rate: count / seconds,
    kilobytes: (residentKilobytes(target.pid) - before.kilobytes) / count,
    besideMicroseconds: (cpuMicroseconds(beside) - before.beside.cpu) / count,
    besideKilobytes: (residentKilobytes(beside) - before.beside.kilobytes) / count,
  };
  for (const peer of peers) peer.close();
  return result;
}
