// What another process has used so far, from /proc: Linux only, as the comparison with Debian's mosquitto is.
import { readdirSync, readFileSync } from 'node:fs';

/** User and system time of all threads, of one process or several. */
export function cpuMicroseconds(pids) {
  return [pids].flat().reduce((sum, pid) => sum + cpuOf(pid), 0);
}

/** By the scheduler's nanoseconds: the clock ticks of /proc/PID/stat are too coarse for a gentle load. */
function cpuOf(pid) {
  const threads = readdirSync(`/proc/${pid}/task`);
  const nanoseconds = threads.map((id) =>
    Number(readFileSync(`/proc/${pid}/task/${id}/schedstat`, 'utf8').split(' ')[0]),
  );
  return nanoseconds.reduce((sum, it) => sum + it, 0) / 1_000;
}

export const residentKilobytes = (pids) => [pids].flat().reduce((sum, pid) => sum + residentOf(pid), 0);

const residentOf = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
