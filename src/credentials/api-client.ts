import * as http from 'node:http';
import * as https from 'node:https';
import type { Clock } from '../clock.js';
import { Fault } from '../errors.js';
import { isTlsErrorCode } from './tls-error.js';

/** The API's answer: its status, and its body where there was one worth reading. */
export interface ApiAnswer {
  readonly status: number;
  readonly body: string;
}

const longestAnswerBytes = 64 * 1024;

/** Asks the testbed's web API who a login and password belong to. */
export class ApiClient {
  readonly #url: URL;
  readonly #agent: http.Agent;
  readonly #request: typeof http.request;
  readonly #clock: Clock;
  readonly #timeoutMs: number;

  constructor(options: { url: string; ca: string | undefined; timeoutMs: number; sockets: number; clock: Clock }) {
    const base = options.url.endsWith('/') ? options.url : `${options.url}/`;
    this.#url = new URL('user', base);
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs;
    const { ca, sockets: maxSockets } = options;
    const agent = {
      keepAlive: true,
      maxSockets,
      maxFreeSockets: maxSockets,
      scheduling: 'lifo' as const,
      timeout: 30_000,
    };
    const secure = this.#url.protocol === 'https:';
    this.#agent = secure ? new https.Agent({ ...agent, ...(ca === undefined ? {} : { ca }) }) : new http.Agent(agent);
    this.#request = secure ? https.request : http.request;
  }

  /**
   * Rejects with a `Fault`: `E_API_UNREACHABLE`, `E_API_TLS`, `E_API_TIMEOUT`, `E_API_CLOSED` (cut off in the middle),
   * `E_API_ANSWER` (too long) or `E_API_CANCELLED`.
   */
  async ask(login: string, password: string, signal: AbortSignal): Promise<ApiAnswer> {
    // A server may close a kept connection just when it is used again; the question was not heard then.
    for (let attempt = 1; ; attempt += 1) {
      const answer = await this.#ask(login, password, signal);
      if (answer !== 'closed before') return answer;
      if (attempt === 5) throw this.#fault('E_API_CLOSED', 'closes its connections again and again');
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  #ask(login: string, password: string, signal: AbortSignal): Promise<ApiAnswer | 'closed before'> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(this.#fault('E_API_CANCELLED', 'called off', signal.reason));
      const request = this.#request(this.#url, {
        agent: this.#agent,
        headers: {
          accept: 'application/json',
          // RFC 7617, 2.1: UTF-8
          authorization: `Basic ${Buffer.from(`${login}:${password}`).toString('base64')}`,
        },
      });
      let chunks = '';
      const end = (fault: Fault): void => {
        settle();
        reject(fault);
        request.destroy();
      };
      const abort = () => end(this.#fault('E_API_CANCELLED', 'called off', signal.reason));
      const cancelTimer = this.#clock.after(this.#timeoutMs, () => {
        end(this.#fault('E_API_TIMEOUT', `no answer within ${this.#timeoutMs} ms`));
      });
      const settle = (): void => {
        cancelTimer();
        signal.removeEventListener('abort', abort);
      };
      signal.addEventListener('abort', abort, { once: true });
      request.on('error', (error) => {
        settle();
        if (request.reusedSocket && isClosed(error)) resolve('closed before');
        else reject(this.#faultOf(error));
      });
      request.on('response', (response) => {
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          chunks += chunk;
          if (chunks.length > longestAnswerBytes) end(this.#fault('E_API_ANSWER', 'the answer is too long'));
        });
        response.on('error', (error) => end(this.#faultOf(error)));
        response.on('close', () => {
          if (!response.complete) return end(this.#fault('E_API_CLOSED', 'the answer was cut off'));
          settle();
          resolve({ status: response.statusCode ?? 0, body: chunks });
        });
      });
      request.end();
    });
  }

  #faultOf(error: NodeJS.ErrnoException): Fault {
    const code = error.code ?? '';
    if (isTlsErrorCode(code)) return this.#fault('E_API_TLS', `no trustworthy TLS: ${error.message}`, error);
    if (isClosed(error)) return this.#fault('E_API_CLOSED', 'the connection was closed before the answer', error);
    return this.#fault('E_API_UNREACHABLE', `cannot be reached: ${code === '' ? error.message : code}`, error);
  }

  #fault(code: string, message: string, cause?: unknown): Fault {
    return new Fault(code, `${this.#url.href}: ${message}`, cause === undefined ? {} : { cause });
  }
}

function isClosed(error: NodeJS.ErrnoException): boolean {
  return error.code === 'ECONNRESET' || error.code === 'EPIPE';
}
