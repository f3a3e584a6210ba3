import { type IncomingMessage, request } from 'node:http';
import { userInfo } from 'node:os';
import { configOrigin, loadConfig } from '../config/load.js';
import { Fault, UsageError } from '../errors.js';
import type { CommandIo } from './command.js';

/** Longer than any answer takes that is no stream. */
const TIMEOUT_MS = 30_000;

/** Asks the running broker, over its admin socket. */
export class AdminClient {
  readonly #socketPath: string;
  /** Which configuration the path is from, for whoever finds nobody there. */
  readonly #from: string;
  readonly #io: Pick<CommandIo, 'env' | 'stderr'>;

  private constructor(socketPath: string, from: string, io: Pick<CommandIo, 'env' | 'stderr'>) {
    this.#socketPath = socketPath;
    this.#from = from;
    this.#io = io;
  }

  /** The broker of this configuration; nothing is opened yet. */
  static async of(configPath: string | undefined, io: CommandIo): Promise<AdminClient> {
    const { admin } = await loadConfig(configPath, io.env);
    const from = configOrigin(configPath, io.env);
    if (admin.socket === '') throw new UsageError(`admin.socket is turned off (${from}): there is nothing to ask`);
    return new AdminClient(admin.socket, from, io);
  }

  async get<T = unknown>(path: string): Promise<T> {
    return (await this.#ask('GET', path)) as T;
  }

  async send<T = unknown>(method: 'POST' | 'PUT' | 'DELETE', path: string, body?: object): Promise<T> {
    return (await this.#ask(method, path, body)) as T;
  }

  /** Each line of an answer that goes on. Ends when the broker ends it, or `signal` does. */
  async *lines(path: string, signal?: AbortSignal): AsyncGenerator<unknown> {
    const response = await this.#open('GET', path, undefined, signal);
    if (response.statusCode !== 200) throw refusalOf(response.statusCode, await textOf(response));
    let rest = '';
    try {
      for await (const chunk of response.setEncoding('utf8')) {
        const parts = `${rest}${chunk}`.split('\n');
        rest = parts.pop()!;
        for (const line of parts) if (line !== '') yield JSON.parse(line);
      }
    } catch (error) {
      if (signal?.aborted !== true) throw error;
    }
  }

  async #ask(method: string, path: string, body?: object): Promise<unknown> {
    const response = await this.#open(method, path, body);
    const text = await textOf(response);
    if (response.statusCode !== 200) throw refusalOf(response.statusCode, text);
    const value = JSON.parse(text) as { readonly missingShards?: readonly number[] } | null;
    for (const shard of value?.missingShards ?? []) {
      this.#io.stderr.write(`shard ${shard} does not answer: what it would say is missing here\n`);
    }
    return value;
  }

  #open(method: string, path: string, body: object | undefined, signal?: AbortSignal): Promise<IncomingMessage> {
    const text = body === undefined ? '' : JSON.stringify(body);
    const headers = {
      'x-operator': operatorOf(this.#io.env),
      ...(text === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    };
    return new Promise((resolve, reject) => {
      const options = { socketPath: this.#socketPath, method, path: `/v1${path}`, headers, agent: false as const };
      const asking = request({ ...options, ...(signal && { signal }) }, resolve);
      if (signal === undefined) {
        asking.setTimeout(TIMEOUT_MS, () => asking.destroy(new Fault('E_ADMIN', 'the broker does not answer')));
      }
      asking.on('error', (error) => reject(this.#explained(error as NodeJS.ErrnoException)));
      asking.end(text);
    });
  }

  #explained(error: NodeJS.ErrnoException): Error {
    const where = `${this.#socketPath} (${this.#from})`;
    if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') {
      return new Fault('E_BROKER_DOWN', `no broker is running here: nobody listens on ${where}`);
    }
    if (error.code === 'EACCES') {
      const message = `${where} is for its owner: run this as the user that runs the broker, or as root`;
      return new UsageError(message, { cause: error });
    }
    return error;
  }
}

/** The person behind sudo, if there is one: for the audit log. */
function operatorOf({ SUDO_USER }: NodeJS.ProcessEnv): string {
  let name = SUDO_USER;
  try {
    name ??= userInfo().username;
  } catch {
    // An account without a name, as in many a container.
  }
  return (name ?? `uid ${process.getuid?.()}`).replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 64);
}

async function textOf(response: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return text;
}

/** What the broker refused was asked wrongly, mostly. */
function refusalOf(status: number | undefined, text: string): Error {
  let error: { code?: string; message?: string } = {};
  try {
    error = (JSON.parse(text) as { error?: typeof error }).error ?? {};
  } catch {
    // Not one of the broker's own answers.
  }
  const { code = 'E_ADMIN', message = `the broker answered ${status}` } = error;
  return status !== undefined && status < 500 ? new UsageError(message, { code }) : new Fault(code, message);
}
