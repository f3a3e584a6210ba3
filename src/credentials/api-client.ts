import { once } from 'node:events';
import * as http from 'node:http';
import * as https from 'node:https';
import type { Clock } from '../clock.js';
import { Fault } from '../errors.js';
import { connectionError } from './connection-error.js';

/** The API's answer; its body is read where it matters, with status 200, and empty otherwise. */
export interface ApiAnswer {
  readonly status: number;
  readonly body: string;
}

const longestAnswerBytes = 64 * 1024;

/** Asks the testbed's web API who a login and password belong to. */
export class ApiClient {
  readonly #url: URL;
  readonly #agent: http.Agent;
  readonly #send: typeof http.request;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  /** What calls off each request in hand. */
  readonly #open = new Set<(fault: Fault) => void>();

  constructor(options: {
    url: string;
    ca: string | undefined;
    timeoutMs: number;
    keptConnections: number;
    clock: Clock;
  }) {
    const base = options.url.endsWith('/') ? options.url : `${options.url}/`;
    this.#url = new URL('user', base);
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs;
    const { ca, keptConnections: maxFreeSockets } = options;
    const agent = {
      keepAlive: true,
      maxFreeSockets,
      scheduling: 'lifo' as const,
      timeout: 30_000,
    };
    const secure = this.#url.protocol === 'https:';
    this.#agent = secure ? new https.Agent({ ...agent, ...(ca === undefined ? {} : { ca }) }) : new http.Agent(agent);
    this.#send = secure ? https.request : http.request;
  }

  /**
   * Rejects with a `Fault`: `E_API_UNREACHABLE`, `E_API_TLS`, `E_API_TIMEOUT`, `E_API_CLOSED` (cut off in the middle),
   * `E_API_ANSWER` (too long), `E_API_CANCELLED` or `E_API_STOPPED`.
   */
  async ask(login: string, password: string, signal: AbortSignal): Promise<ApiAnswer> {
    // A server may close a kept connection just when it is used again; the question was not heard then.
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.#ask(login, password, signal);
      if (answer !== 'closed before') return answer;
      if (attempt === 5) throw this.#fault('E_API_CLOSED', 'closes its connections again and again');
    }
  }

  /** Every question that is still open hears of a fault. */
  close(): void {
    for (const callOff of this.#open) callOff(this.#fault('E_API_STOPPED', 'the API backend was closed'));
    this.#agent.destroy();
  }

  async #ask(login: string, password: string, signal: AbortSignal): Promise<ApiAnswer | 'closed before'> {
    if (signal.aborted) throw this.#fault('E_API_CANCELLED', 'called off', signal.reason);
    // RFC 7617, 2.1: UTF-8
    const authorization = `Basic ${Buffer.from(`${login}:${password}`).toString('base64')}`;
    const request = this.#send(this.#url, {
      agent: this.#agent,
      headers: { accept: 'application/json', authorization },
    });
    // Also errors that come once the answer is given, or the fault told, and nobody waits any more.
    request.on('error', () => {});
    let ended: Fault | null = null;
    const end = (fault: Fault): void => {
      ended ??= fault;
      request.destroy(fault);
    };
    const abort = (): void => end(this.#fault('E_API_CANCELLED', 'called off', signal.reason));
    const cancelDeadline = this.#clock.after(this.#timeoutMs, () => {
      end(this.#fault('E_API_TIMEOUT', `no answer within ${this.#timeoutMs} ms`));
    });
    signal.addEventListener('abort', abort, { once: true });
    this.#open.add(end);
    // The deadline holds for what is not read, too.
    request.once('close', () => {
      cancelDeadline();
      signal.removeEventListener('abort', abort);
      this.#open.delete(end);
    });
    let heard = false;
    try {
      request.end();
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      heard = true;
      const status = response.statusCode ?? 0;
      return { status, body: status === 200 ? await this.#bodyOf(response) : passOver(response) };
    } catch (error) {
      if (ended !== null) throw ended;
      if (!heard && request.reusedSocket && connectionError(error).kind === 'closed') return 'closed before';
      throw this.#faultOf(error);
    }
  }

  async #bodyOf(response: http.IncomingMessage): Promise<string> {
    response.setEncoding('utf8');
    let body = '';
    for await (const chunk of response) {
      body += chunk;
      // Leaving the loop destroys the response and its connection.
      if (body.length > longestAnswerBytes) throw this.#fault('E_API_ANSWER', 'the answer is too long');
    }
    return body;
  }

  #faultOf(error: unknown): Fault {
    if (error instanceof Fault) return error;
    const { kind, text } = connectionError(error);
    const codes = { tls: 'E_API_TLS', closed: 'E_API_CLOSED', unreachable: 'E_API_UNREACHABLE' };
    return this.#fault(codes[kind], text, error);
  }

  #fault(code: string, message: string, cause?: unknown): Fault {
    return new Fault(code, `${this.#url.href}: ${message}`, cause === undefined ? {} : { cause });
  }
}

/** Throws the body away, so that the connection can be used again; a long one together with its connection. */
function passOver(response: http.IncomingMessage): '' {
  let bytes = 0;
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > longestAnswerBytes) response.destroy();
  });
  response.on('error', () => {});
  return '';
}
