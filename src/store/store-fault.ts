import { Fault, UsageError } from '../errors.js';

/**
 * What the database complained of, as a fault that names the store's folder and, where the operator can mend it, how.
 * LevelDB has one code for everything that is not corruption, so its text has to be looked at.
 */
export function storeFault(path: string, error: unknown): Fault {
  if (error instanceof Fault) return error;
  const { code, reason } = deepest(error);
  const usage = (name: string, text: string) => new UsageError(`${path}: ${text}`, { code: name, cause: error });
  if (code === 'LEVEL_LOCKED') {
    return usage(
      'E_STORE_LOCKED',
      'the store is in use by another process. Stop that broker first, or set storage.path to another folder.',
    );
  }
  if (/no space left|quota exceeded|ENOSPC|EDQUOT/i.test(reason)) {
    return usage(
      'E_STORE_FULL',
      `the disk is full (${reason}). Free some space there, or set storage.path to another folder.`,
    );
  }
  if (/permission denied|read-only file system|EACCES|EROFS/i.test(reason)) {
    return usage(
      'E_STORE_READ_ONLY',
      `the store cannot be written (${reason}). Make the folder writable for the broker's user, or set storage.path to another folder.`,
    );
  }
  if (/missing files|does not exist|no such file/i.test(reason)) return incomplete(path, reason, error);
  if (code === 'LEVEL_CORRUPTION') {
    return usage(
      'E_STORE_DAMAGED',
      `the store is damaged (${reason}). Stop the broker; then "iotlab-broker storage check --path ${path}" says what cannot be read, and "iotlab-broker storage repair --path ${path}" makes a copy and saves the rest.`,
    );
  }
  return new Fault('E_STORE_IO', `${path}: the store cannot be used: ${reason}`, { cause: error });
}

/** Some of the files are there and others are not, as after a backup that was put back in part. */
export function incomplete(path: string, reason: string, cause?: unknown): UsageError {
  return new UsageError(
    `${path}: the store is incomplete (${reason}). Put the whole folder back from where it came; or, to go on with what is there: iotlab-broker storage repair --path ${path}`,
    { code: 'E_STORE_INCOMPLETE', cause },
  );
}

/** abstract-level wraps what the database says in "not open"; what tells is one deeper. */
function deepest(error: unknown): { code: string | undefined; reason: string } {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return {
    code: (cause as { code?: string } | undefined)?.code,
    reason: cause instanceof Error ? cause.message : String(cause),
  };
}
