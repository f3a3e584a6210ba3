import { lstatSync, unlinkSync } from 'node:fs';
import { lstat, mkdtemp, rename, rm } from 'node:fs/promises';
import net from 'node:net';
import { dirname, join } from 'node:path';

/** What is at the path of a socket: one that somebody listens on, one that a process which died has left, or another file. */
export async function whatIsAt(path: string): Promise<'nothing' | 'left-over' | 'in-use' | 'no-socket'> {
  const there = await lstat(path).catch(() => null);
  if (there === null) return 'nothing';
  if (!there.isSocket()) return 'no-socket';
  const answered = await new Promise<boolean>((resolve) => {
    const probe = net.connect({ path });
    probe.once('connect', () => resolve(true)).once('error', () => resolve(false));
    probe.once('connect', () => probe.destroy());
  });
  return answered ? 'in-use' : 'left-over';
}

/**
 * Listens on a Unix socket that has its mode and owner from the first moment on at which anybody can reach it: it is
 * made in a folder that only its owner can enter, gets there what `prepare` gives it, and is then moved to its place,
 * over what a process that died left behind. Returns what removes it, unless another process has put its own there.
 */
export async function listenUnix(
  server: net.Server,
  where: { readonly path: string; readonly backlog?: number },
  prepare: (made: string) => Promise<void>,
): Promise<() => void> {
  const { path } = where;
  const folder = await mkdtemp(join(dirname(path), '.s'));
  try {
    const made = join(folder, 's');
    await listen(server, { ...where, path: made });
    await prepare(made);
    await rename(made, path);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const inodeAt = () => lstatSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
  const own = inodeAt();
  return () => {
    try {
      if (inodeAt() === own) unlinkSync(path);
    } catch {
      // Somebody else removed it.
    }
  };
}

function listen(server: net.Server, where: net.ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
