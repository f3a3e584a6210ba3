import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { eventually } from './deadline.js';
import { passwordOf } from './raw-client.js';
import type { TestBroker } from './test-broker.js';

export interface WebResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The text as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: what it is, the test asserts
  readonly body: any;
}

export interface WebQuestion {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | object;
}

/** Somebody with a browser, without the browser: keeps the cookie, and sends what a page of the port would send. */
export class WebUser {
  cookie = '';
  readonly #broker: TestBroker;

  constructor(broker: TestBroker) {
    this.#broker = broker;
  }

  static async logIn(broker: TestBroker, login: string): Promise<WebUser> {
    const user = new WebUser(broker);
    const { status } = await user.logIn(login);
    if (status !== 200) throw new Error(`${login} was not let in: ${status}`);
    return user;
  }

  async logIn(login: string, password = passwordOf(login)): Promise<WebResponse> {
    const response = await this.ask('/v1/log-in', { method: 'POST', body: { login, password } });
    this.cookie = response.headers['set-cookie']?.[0]?.split(';')[0] ?? this.cookie;
    return response;
  }

  async ask(path: string, question: WebQuestion = {}): Promise<WebResponse> {
    const response = await this.#open(path, question);
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
    let body: unknown;
    try {
      body = JSON.parse(text);
    } catch {}
    return { status: response.statusCode ?? 0, headers: response.headers, text, body };
  }

  /** What a stream says. */
  async follow(path: string): Promise<WebStream> {
    return new WebStream(await this.#open(path, {}));
  }

  #open(path: string, { method = 'GET', headers = {}, body }: WebQuestion): Promise<IncomingMessage> {
    const text = typeof body === 'object' ? JSON.stringify(body) : (body ?? '');
    const { webPort: port, ca } = this.#broker;
    const given = {
      ...(this.cookie === '' ? {} : { cookie: this.cookie }),
      ...(method === 'GET' ? {} : { origin: `https://localhost:${port}`, 'content-type': 'application/json' }),
      ...headers,
    };
    return new Promise((resolve, reject) => {
      const asking = request({ host: 'localhost', port, ca, path, method, headers: given, agent: false }, resolve);
      asking.on('error', reject);
      asking.end(text);
    });
  }
}

export class WebStream {
  text = '';
  ended = false;
  readonly #response: IncomingMessage;

  constructor(response: IncomingMessage) {
    this.#response = response;
    response.setEncoding('utf8').on('data', (chunk) => {
      this.text += chunk;
    });
    response.on('error', () => {});
    response.on('close', () => {
      this.ended = true;
    });
  }

  get status(): number {
    return this.#response.statusCode ?? 0;
  }

  says(what: RegExp, timeoutMs = 5_000): Promise<void> {
    return eventually(timeoutMs, `${what} in the stream`, () => what.test(this.text));
  }

  end(timeoutMs = 5_000): Promise<void> {
    return eventually(timeoutMs, 'the end of the stream', () => this.ended);
  }

  close(): void {
    this.#response.destroy();
  }
}
