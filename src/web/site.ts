import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Audit } from '../admin/audit.js';
import type { HealthState } from '../admin/health.js';
import { inSlicesOf } from '../admin/in-slices.js';
import { type Answer, type Caller, Refusal } from '../admin/route.js';
import { type Answerer, problem } from '../admin/router.js';
import type { BrokerParts } from '../broker-parts.js';
import type { Clock } from '../clock.js';
import type { WebConfig } from '../config/config.js';
import type { Account } from '../fairness/account.js';
import { groupKey } from '../group-name.js';
import { networkOf } from '../network.js';
import type { Log } from '../observe/log.js';
import type { RateLimited } from '../observe/rate-limited.js';
import type { Hosts } from './hosts.js';
import { callerOf, type LogInContext, logIn } from './log-in.js';
import type { Login } from './logins.js';
import type { Page } from './pages.js';
import { checkOrigin, cookieOf, drain, readBody, tokenIn } from './request.js';
import { bannedAnswer, securityHeaders, send, sendStream } from './response.js';

/** Who is not logged in has nothing long to say, and nor do users. */
const BODY_BYTES = 4 * 1024;
/** Operators have lists. */
const OPERATOR_BODY_BYTES = 256 * 1024;
/** The longest that an answer may take. */
const ANSWER_TIMEOUT_MS = 120_000;
/** Of one user, in all windows. */
const STREAMS_PER_USER = 16;

export interface SiteOptions extends LogInContext {
  readonly parts: BrokerParts;
  readonly pages: ReadonlyMap<string, Page>;
  readonly clock: Clock;
  readonly log: Log;
  readonly noisyLog: RateLimited;
  readonly hosts: Hosts;
  /** Answers operators, and users about what is theirs. */
  readonly admin: Answerer & { readonly own: Answerer; readonly audit: Audit; health(): HealthState };
  readonly certificates: () => readonly { readonly role: string; readonly expiresAt: number }[];
  /** What clients are to trust (PEM); empty: nothing is known. */
  readonly ca: () => Promise<string>;
  /** Where MQTT is, by TLS, unless the configuration has it elsewhere. */
  readonly mqttPort: () => number;
}

interface Visitor {
  readonly address: string;
  readonly network: Account;
  /** The request is here as a whole. */
  received(): void;
}

/** What the port for browsers answers: pages, log-in, what is a user's own, and for operators what theirs is. */
export class Site {
  readonly #options: SiteOptions;
  #config: WebConfig;

  constructor(options: SiteOptions, config: WebConfig) {
    this.#options = options;
    this.#config = config;
  }

  /** Who is no operator any more is shown nothing more. */
  configure(config: WebConfig): void {
    this.#config = config;
    for (const { streams } of this.#options.logins.values()) for (const end of [...streams]) end();
  }

  async handle(request: IncomingMessage, response: ServerResponse, visitor: Visitor): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0]!;
    const login = this.#options.logins.find(tokenIn(request));
    try {
      const complaint = this.#options.hosts.complaint(request.headers.host, visitor.address);
      if (complaint !== null) throw new Refusal(421, 'other-host', complaint);
      if (path.startsWith('/v1/')) await this.#answer(request, response, path, login, visitor);
      else await this.#show(request, response, path, visitor);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#refuse(request, response, error, login, visitor.address);
    }
  }

  /** Pages, for everybody. */
  async #show(request: IncomingMessage, response: ServerResponse, path: string, visitor: Visitor): Promise<void> {
    const { parts, pages, ca } = this.#options;
    if (request.method !== 'GET' && request.method !== 'HEAD') throw new Refusal(405, 'wrong-method', 'only GET');
    visitor.received();
    const asksForPage = (request.headers.accept ?? '').includes('text/html');
    const authority = path === '/ca.pem' ? await ca() : '';
    const answer = () => {
      if (path === '/') return redirect(response, '/me');
      if (path === '/status' && !asksForPage) return send(response, this.#status());
      const page = pages.get(path);
      if (page !== undefined) return sendPage(request, response, page);
      if (authority === '') throw new Refusal(404, 'not-found', 'there is no such page');
      response.setHeader('content-disposition', 'attachment; filename="iot-lab-ca.pem"');
      send(response, { kind: 'text', type: 'application/x-pem-file', text: authority });
    };
    await inSlicesOf(visitor.network, parts.scheduler, oneStep(answer));
  }

  /** Up or down, and nothing about anybody. */
  #status(): Extract<Answer, { kind: 'json' }> {
    const { admin, certificates, clock } = this.#options;
    const { status, store, credentials } = admin.health();
    const server = certificates().find(({ role }) => role === 'server');
    const days = server === undefined ? null : Math.floor((server.expiresAt - clock.epochMs()) / 86_400_000);
    const up = status === 'ok' || status === 'degraded';
    const value = { status, store: store === 'ok', directory: credentials === 'ok', certificateDays: days };
    return { kind: 'json', status: up ? 200 : 503, value };
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    login: Login | null,
    visitor: Visitor,
  ): Promise<void> {
    checkOrigin(request);
    const { admin } = this.#options;
    const { method = '', url = '/' } = request;
    if (path === '/v1/log-in') return this.#logIn(request, response, visitor);
    if (login === null && path === '/v1/session') return this.#nobody(response, visitor);
    if (login === null) throw new Refusal(401, 'not-logged-in', 'log in first');
    const own = /^\/v1\/(me|session|log-out)(\/|$)/.test(path);
    const operates = this.#operates(login);
    if (!own && !operates) throw new Refusal(403, 'no-operator', 'this is for operators');
    const most = own || !operates ? BODY_BYTES : OPERATOR_BODY_BYTES;
    const body = await readBody(request, most, login.account.balances.pages);
    visitor.received();
    // A class list takes a while, and its passwords are told this once.
    request.socket.setTimeout(ANSWER_TIMEOUT_MS);
    const small = this.#small(`${method} ${path}`, response, login, operates);
    if (small !== null) return send(response, { kind: 'json', status: 200, value: small });
    const caller = callerOf(login.login, visitor.address);
    const answer = await (own ? admin.own : admin).answer({ method, url, body, caller });
    if (response.destroyed) return;
    if (answer.kind !== 'stream') send(response, answer);
    else this.#stream(response, answer, login);
  }

  async #logIn(request: IncomingMessage, response: ServerResponse, visitor: Visitor): Promise<void> {
    if (request.method !== 'POST') throw new Refusal(405, 'wrong-method', 'only POST');
    const { network, address } = visitor;
    const body = parsed(await readBody(request, BODY_BYTES, network.balances.pages));
    visitor.received();
    const { loginMs } = this.#config;
    const found = await logIn(this.#options, body, address, loginMs);
    if (found.kind === 'banned') return send(response, bannedAnswer(found.ban));
    const { login, token } = found;
    response.setHeader('set-cookie', cookieOf(token, Math.floor(loginMs / 1_000)));
    send(response, { kind: 'json', status: 200, value: { login } });
  }

  /** A page may ask whether somebody is logged in. */
  #nobody(response: ServerResponse, visitor: Visitor): void {
    visitor.received();
    send(response, { kind: 'json', status: 200, value: { login: null } });
  }

  /** What is about the log-in itself. */
  #small(what: string, response: ServerResponse, login: Login, operator: boolean): object | null {
    const { logins, mqttPort } = this.#options;
    switch (what) {
      case 'GET /v1/session':
        return { login: login.login, operator, mqttPort: this.#config.mqttPort || mqttPort() };
      case 'POST /v1/me/ticket':
        return { ticket: logins.issueTicket(login) };
      case 'POST /v1/log-out':
        login.close('logged-out');
        response.setHeader('set-cookie', cookieOf('', 0));
        return {};
      default:
        return null;
    }
  }

  #operates({ login, account }: Login): boolean {
    const { operators, operatorGroups } = this.#config;
    if (operators.includes(login)) return true;
    const { groups } = this.#options.parts.rules.acl.person(login, account.groups);
    return operatorGroups.some((name) => groups.has(groupKey(name)));
  }

  #stream(response: ServerResponse, answer: Extract<Answer, { kind: 'stream' }>, login: Login): void {
    let open = 0;
    for (const each of this.#options.logins.of(login.login)) open += each.streams.size;
    if (open >= STREAMS_PER_USER) {
      throw new Refusal(503, 'too-many-streams', 'as many pages as may be follow what happens; close one of them');
    }
    const end = sendStream(response, answer, login.account.balances.pages);
    login.streams.add(end);
    response.once('close', () => login.streams.delete(end));
  }

  #refuse(
    request: IncomingMessage,
    response: ServerResponse,
    { status, code, message }: Refusal,
    login: Login | null,
    address: string,
  ): void {
    const { noisyLog, admin } = this.#options;
    if (status === 403) {
      const caller: Caller = { door: 'web', address, claims: null, ...(login === null ? {} : { login: login.login }) };
      const what = `${request.method} ${(request.url ?? '').slice(0, 200)}`;
      noisyLog.network(networkOf(address)).line(`web ${code}`, (suppressed) => {
        admin.audit.write({ caller, what, body: null, status, result: code, suppressed });
      });
    }
    if (response.headersSent) return void response.destroy();
    const answer = problem(status, code, message) as Extract<Answer, { kind: 'json' }>;
    if (request.complete) {
      send(response, answer);
      return;
    }
    response.setHeader('connection', 'close');
    send(response, answer, () => drain(request, this.#options.clock, () => response.end()));
  }
}

// biome-ignore lint/correctness/useYield: it is short
function* oneStep(work: () => void): Generator<undefined, void, void> {
  work();
}

function redirect(response: ServerResponse, location: string): void {
  response.writeHead(302, { ...securityHeaders, location, 'content-length': 0 });
  response.end();
}

function sendPage({ headers }: IncomingMessage, response: ServerResponse, { type, content, tag }: Page): void {
  const common = { ...securityHeaders, 'cache-control': 'no-cache', etag: tag };
  if (headers['if-none-match'] === tag) {
    response.writeHead(304, common);
    response.end();
    return;
  }
  response.writeHead(200, { ...common, 'content-type': type, 'content-length': content.length });
  response.end(content);
}

function parsed(body: string | null): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body ?? '');
    if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>;
  } catch {}
  throw new Refusal(400, 'bad-body', 'the body is not a JSON object');
}
