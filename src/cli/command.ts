/** One command of `iotlab-broker`, in one file of this folder. */
export interface Command {
  /** As typed: `user`, `certs`, … */
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** The whole `--help` text, with an example. */
  readonly help: string;
  /**
   * Runs with the arguments behind the command's name and resolves with the exit code. Throws `UsageError` for what the
   * caller can mend (exit code 2) and any other error for the rest (exit code 1).
   */
  run(args: readonly string[], io: CommandIo): Promise<number>;
}

/** The world as a command sees it, so that tests can run one without a process. */
export interface CommandIo {
  readonly stdin: NodeJS.ReadableStream & { isTTY?: boolean };
  readonly stdout: NodeJS.WritableStream & { isTTY?: boolean };
  readonly stderr: NodeJS.WritableStream & { isTTY?: boolean };
  readonly env: NodeJS.ProcessEnv;
}
