import { execFileSync } from 'node:child_process';
import { mkdir } from 'node:fs/promises';

/** Runs with a file system of a few MB of its own in that folder; without the right to mount, not at all. */
export async function onSmallDisk(folder: string, megabytes: number, run: () => Promise<void>): Promise<void> {
  await mkdir(folder, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    return;
  }
  try {
    await run();
  } finally {
    execFileSync('umount', ['-l', folder]);
  }
}
