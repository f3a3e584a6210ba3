import { fstatSync } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { UsageError, whyNoFile } from '../errors.js';
import type { CommandIo } from './command.js';

/** For everybody but the owner. */
const OTHERS = 0o077;

/** Where a list of passwords goes. Opened before anything is changed: passwords that nobody got would be lost. */
export interface PasswordList {
  write(text: string): Promise<void>;
  /** Nobody was added. */
  discard(): Promise<void>;
}

/** A new file that its owner alone can read; without `path`, the standard output. */
export async function openPasswordList(path: string | undefined, io: CommandIo): Promise<PasswordList> {
  if (path === undefined) return standardOutput(io);
  let file: FileHandle;
  try {
    file = await open(path, 'wx', 0o600);
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST';
    const why = isThere ? 'is there already; its passwords are not overwritten' : `cannot be made: ${whyNoFile(error)}`;
    throw new UsageError(`${path} ${why}; nobody was added`, { cause: error });
  }
  return {
    async write(text) {
      await file.writeFile(text);
      await file.sync();
      await file.close();
    },
    async discard() {
      await file.close();
      await rm(path, { force: true });
    },
  };
}

function standardOutput({ stdout, stderr }: CommandIo): PasswordList {
  return {
    async write(text) {
      stdout.write(text);
      if (othersMayRead((stdout as { fd?: number }).fd)) {
        stderr.write(
          'the passwords are in a file that others can read: chmod 600 it; --to FILE makes one that only you can\n',
        );
      }
    },
    async discard() {},
  };
}

/** Is it a file, which a shell has made with the usual rights? */
function othersMayRead(fd: number | undefined): boolean {
  if (fd === undefined) return false;
  const { mode } = fstatSync(fd);
  return (mode & 0o170000) === 0o100000 && (mode & OTHERS) !== 0;
}
