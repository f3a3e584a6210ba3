/**
 * What can go wrong, in two kinds. A refusal (wrong password, denied topic) is a value that the caller handles; a fault
 * is one of these errors. `code` is stable: logs, exit codes and tests hold on to it, never to the message.
 */
export class Fault extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'Fault';
    this.code = code;
  }
}

/** Why a file could not be used, for a message that has its name already: Node's own would name it once more. */
export function whyNoFile(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const known = new Map([
    ['ENOENT', 'there is no such file'],
    ['EACCES', 'permission denied'],
    ['EISDIR', 'it is a folder'],
  ]);
  return known.get(code ?? '') ?? (code === undefined ? message : code);
}

/**
 * The person who started the command can mend this: wrong usage, wrong configuration, a missing file. Exit code 2; the
 * message names the file, the key and the remedy, and is printed without a stack trace.
 */
export class UsageError extends Fault {
  constructor(message: string, options?: { code?: string; cause?: unknown }) {
    super(options?.code ?? 'E_USAGE', message, options);
    this.name = 'UsageError';
  }
}
