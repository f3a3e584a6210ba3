// What another process has used so far, from /proc: Linux only, as the comparison with Debian's mosquitto is.
import { readFileSync } from 'node:fs';

const microsecondsPerTick = 10_000;

/** User and system time of all threads. */
export function cpuMicroseconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * microsecondsPerTick;
}

export const residentKilobytes = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
