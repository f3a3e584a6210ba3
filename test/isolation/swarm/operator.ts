import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Broker } from './ground.js';
import type { OperatorStep } from './program.js';

export interface OperatorReport {
  readonly acts: number;
  /** What the broker did not do, or say, in time. */
  readonly failed: readonly string[];
  readonly slowestMs: number;
}

/** Whatever the attacker makes the broker do: an operator, who wants to end it, is answered. */
const answerTimeoutMs = 10_000;
/** There is nothing to be ended, or no such ban. */
const nothingThere = new Set([404]);

/** Does to the attacker, over the socket for operators, what the program says; from the beginning again, until the end. */
export class Operator {
  readonly #broker: Broker;
  readonly #user: string;
  readonly #failed: string[] = [];
  readonly #end = new AbortController();
  #acts = 0;
  #slowestMs = 0;
  readonly #done: Promise<void>;

  constructor(broker: Broker, user: string, steps: readonly OperatorStep[]) {
    this.#broker = broker;
    this.#user = user;
    this.#done = this.#work(steps);
  }

  /** Nothing more. What was decided stays. */
  async rest(): Promise<void> {
    this.#end.abort();
    await this.#done;
  }

  async takeBack(): Promise<OperatorReport> {
    await this.rest();
    await this.#do({ do: 'usual-limits' });
    await this.#do({ do: 'unban' });
    return { acts: this.#acts, failed: this.#failed, slowestMs: this.#slowestMs };
  }

  async #work(steps: readonly OperatorStep[]): Promise<void> {
    const { signal } = this.#end;
    while (!signal.aborted) {
      for (const step of steps) {
        if (signal.aborted) return;
        if (step.do === 'pause') await sleep(step.ms, undefined, { signal }).catch(() => {});
        else await this.#do(step);
      }
    }
  }

  async #do(step: Exclude<OperatorStep, { do: 'pause' }>): Promise<void> {
    if (!this.#broker.alive) return;
    const login = this.#user;
    this.#acts += 1;
    switch (step.do) {
      case 'limits':
        return this.#ask('PUT', `/users/${login}/limits`, { limits: step.limits, seconds: null, reason: '' });
      case 'usual-limits':
        return this.#ask('DELETE', `/users/${login}/limits`);
      case 'kick':
        return this.#ask('DELETE', `/users/${login}/connections`);
      case 'ban':
        return this.#ask('POST', '/bans', { login, seconds: step.seconds, reason: '' });
      case 'unban':
        return this.#ask('DELETE', `/bans?login=${login}`);
      case 'reload':
        await this.#broker.configure({ userLimits: [{ users: [login], ...step.limits }] });
        return this.#ask('POST', '/config/reload');
    }
  }

  async #ask(method: string, path: string, body?: object): Promise<void> {
    const startMs = performance.now();
    const why = await answer(this.#broker.adminSocket, method, path, body);
    this.#slowestMs = Math.max(this.#slowestMs, performance.now() - startMs);
    if (why !== null && this.#broker.alive) this.#failed.push(`${method} ${path}: ${why}`);
  }
}

/** What was wrong with it; null: nothing. */
function answer(socketPath: string, method: string, path: string, body?: object): Promise<string | null> {
  const text = body === undefined ? '' : JSON.stringify(body);
  const headers = text === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  return new Promise((resolve) => {
    const asking = request({ socketPath, method, path: `/v1${path}`, headers, agent: false }, (response) => {
      const { statusCode = 0 } = response;
      let said = '';
      response.setEncoding('utf8').on('data', (part) => {
        said += part;
      });
      response.once('error', (error) => resolve(error.message));
      response.once('end', () => resolve(statusCode === 200 || nothingThere.has(statusCode) ? null : said));
    });
    const timer = setTimeout(() => asking.destroy(new Error(`no answer in ${answerTimeoutMs} ms`)), answerTimeoutMs);
    asking.once('close', () => clearTimeout(timer));
    asking.once('error', (error) => resolve(error.message));
    asking.end(text);
  });
}
