/** One command of `iotlab-broker`, in one file of this folder; made by `defineCommand`. */
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

/** A command as it is written down. Its help, its checks and the errors for wrong usage are made from this. */
export interface Description {
  readonly name: string;
  readonly summary: string;
  /** What the help says below the usage. */
  readonly about: string;
  /** One or more command lines that work. */
  readonly examples: readonly string[];
  /** What it does; or its sub-commands by name, of which the first argument chooses one. */
  readonly does: Action | Readonly<Record<string, Action>>;
}

/** A sub-command, or what a command does that has none. */
export interface Action<O extends Options = Options, A extends readonly string[] = readonly string[]> {
  /** For the usage of a sub-command. */
  readonly summary?: string;
  /** In order: `LOGIN`, `[FILE]` when it may be missing, `[WORD]…` for any number more, `read|write` for one of these. */
  readonly arguments?: A;
  readonly options?: O;
  run(given: Given<O, A>, io: CommandIo): Promise<number>;
}

export type Options = Readonly<Record<string, Option>>;

export interface Option {
  readonly type: 'string' | 'boolean';
  readonly multiple?: true;
  /** What the help calls its value: `FILE`, or `ec|rsa` for one of these. */
  readonly value?: string;
  readonly help: string;
}

/** What was typed, checked. */
export interface Given<O extends Options = Options, A extends readonly string[] = readonly string[]> {
  readonly args: { readonly [I in keyof A]: A[I] extends `[${string}` ? string | undefined : WordOf<A[I]> };
  readonly values: { readonly [K in keyof O]?: ValueOf<O[K]> | undefined };
  /** The file of `--config`, which every command understands. */
  readonly config: string | undefined;
}

type ValueOf<O extends Option> = O['type'] extends 'boolean'
  ? boolean
  : O extends { multiple: true }
    ? readonly string[]
    : WordOf<O['value']>;

/** `read|write` is one of these words; a name in capitals stands for any text. */
type WordOf<N> = N extends `${string}|${string}` ? OneOf<N> : string;
type OneOf<N> = N extends `${infer First}|${infer Rest}` ? First | OneOf<Rest> : N;

/** Keeps the types of an action's options and arguments while it is written down. */
export function action<const O extends Options = Record<never, Option>, const A extends readonly string[] = []>(
  it: Action<O, A>,
): Action {
  return it as unknown as Action;
}

/** Sub-commands by name; what a command does that has none stands under ''. */
export function actionsOf({ does }: Description): ReadonlyMap<string, Action> {
  return new Map(Object.entries(isAction(does) ? { '': does } : does));
}

function isAction(does: Description['does']): does is Action {
  return typeof does.run === 'function';
}
