import type { Log } from '../observe/log.js';
import type { Audit } from './audit.js';
import { type AdminRequest, type Answer, type Caller, json, notFound, Refusal, type Route } from './route.js';

/** A request as a door hands it over: read, and of somebody who may ask. */
export interface ReceivedRequest {
  readonly method: string;
  /** With its query, as it came. */
  readonly url: string;
  /** Null: none came. */
  readonly body: string | null;
  readonly caller: Caller;
}

/** Who answers requests: a broker, or whoever asks several of them. */
export interface Answerer {
  /** Never rejects. */
  answer(received: ReceivedRequest): Promise<Answer>;
}

export interface RouterOptions {
  readonly routes: readonly Route[];
  readonly audit: Audit;
  readonly log: Log;
  /** Hears of every request, with the path of its route. */
  readonly onAnswer?: (route: string, status: number) => void;
}

interface Compiled {
  readonly route: Route;
  readonly parts: readonly string[];
}

const PREFIX = '/v1';

/** From requests to the routes that answer them. Whatever changes something is in the audit log, done or refused. */
export class Router implements Answerer {
  readonly #options: RouterOptions;
  readonly #compiled: readonly Compiled[];

  constructor(options: RouterOptions) {
    this.#options = options;
    this.#compiled = options.routes.map((route) => ({ route, parts: route.path.split('/') }));
  }

  /** Never rejects. */
  async answer(received: ReceivedRequest): Promise<Answer> {
    const { audit, log, onAnswer } = this.#options;
    const { method, caller } = received;
    const url = new URL(received.url, 'http://localhost');
    let path = 'none';
    let answer: Answer;
    try {
      const { route, params } = this.#find(method, url.pathname);
      path = route.path;
      const request = { params, query: readQuery(route, url.searchParams), body: readBody(received.body), caller };
      answer = await route.answer(request);
    } catch (error) {
      answer = refusing(error, method, path, log);
    }
    auditAnswer(audit, received, answer);
    onAnswer?.(path, statusOf(answer));
    return answer;
  }

  #find(method: string, pathname: string): { route: Route; params: Record<string, string> } {
    if (pathname !== PREFIX && !pathname.startsWith(`${PREFIX}/`)) throw notFound(`everything is below ${PREFIX}/`);
    const parts = pathname.slice(PREFIX.length).split('/');
    const others: string[] = [];
    for (const { route, parts: pattern } of this.#compiled) {
      const params = match(pattern, parts);
      if (params === null) continue;
      if (route.method === method) return { route, params };
      others.push(route.method);
    }
    if (others.length === 0) throw notFound('there is no such resource; docs/openapi.yaml lists them');
    throw new Refusal(405, 'wrong-method', `this resource has ${others.join(', ')}`);
  }
}

const statusOf = (answer: Answer) => (answer.kind === 'json' ? answer.status : 200);

/** Questions that are asked by POST: nothing changes by them, and what they are about is too long for a query. */
const questions = new Set([`${PREFIX}/acl/explain`]);

/** Whatever was to change something is written down, done or refused. */
export function auditAnswer(audit: Audit, { method, url, body, caller }: ReceivedRequest, answer: Answer): void {
  const status = statusOf(answer);
  const { pathname, search } = new URL(url, 'http://localhost');
  if ((method === 'GET' || questions.has(pathname)) && status !== 403) return;
  const result = answer.kind === 'json' && status >= 400 ? codeOf(answer.value) : 'done';
  audit.write({
    caller,
    what: `${method} ${pathname}${search}`.slice(0, WHAT_CHARACTERS),
    body: loggable(body),
    status,
    result,
  });
}

function match(pattern: readonly string[], parts: readonly string[]): Record<string, string> | null {
  if (pattern.length !== parts.length) return null;
  const params: Record<string, string> = Object.create(null);
  for (const [i, expected] of pattern.entries()) {
    const part = parts[i]!;
    if (expected.startsWith('{')) {
      const value = decoded(part);
      if (value === null || value === '') return null;
      params[expected.slice(1, -1)] = value;
    } else if (expected !== part) return null;
  }
  return params;
}

function decoded(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}

function readQuery({ query = {} }: Route, given: URLSearchParams): AdminRequest['query'] {
  const read: Record<string, string | number | undefined> = Object.create(null);
  for (const name of given.keys()) {
    if (!Object.hasOwn(query, name)) {
      const known = Object.keys(query).join(', ');
      throw badQuery(`${JSON.stringify(name)} is not known here${known === '' ? '' : `; known: ${known}`}`);
    }
  }
  for (const [name, parameter] of Object.entries(query)) {
    const text = given.get(name) ?? undefined;
    if (parameter.kind === 'text') read[name] = text;
    else if (text === undefined) read[name] = parameter.otherwise;
    else if (parameter.kind === 'choice') {
      const { words } = parameter;
      if (!words.includes(text)) throw badQuery(`${name} is one of ${words.join(', ')}`);
      read[name] = text;
    } else {
      const { min, max } = parameter;
      const number = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
      if (!(number >= min && number <= max)) throw badQuery(`${name} is a whole number from ${min} to ${max}`);
      read[name] = number;
    }
  }
  return read;
}

function badQuery(message: string): Refusal {
  return new Refusal(400, 'bad-query', message);
}

function readBody(text: string | null): Readonly<Record<string, unknown>> {
  if (text === null) return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Refusal(400, 'bad-body', 'the body is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Refusal(400, 'bad-body', 'the body is not a JSON object');
  }
  return value as Readonly<Record<string, unknown>>;
}

function refusing(error: unknown, method: string, path: string, log: Log): Answer {
  if (error instanceof Refusal) return problem(error.status, error.code, error.message);
  log.error({ err: error, method, route: path }, 'a request to the admin interface failed');
  return problem(500, 'internal', 'the broker failed at this; its log says how');
}

export function problem(status: number, code: string, message: string): Answer {
  return json({ error: { code, message } }, status);
}

export function codeOf(value: unknown): string {
  return (value as { error?: { code?: string } }).error?.code ?? 'refused';
}

/** Of method, path and query, for the audit log. */
const WHAT_CHARACTERS = 500;
const BODY_CHARACTERS = 500;

/** The start of a body, for the audit log. No route takes a secret in its body; should somebody send one, it is left out. */
function loggable(body: string | null): string | null {
  if (body === null) return null;
  if (!/pass|secret|token/i.test(body)) return body.slice(0, BODY_CHARACTERS);
  try {
    const hidden = (key: string, value: unknown) => (/pass|secret|token/i.test(key) ? '(left out)' : value);
    return JSON.stringify(JSON.parse(body), hidden).slice(0, BODY_CHARACTERS);
  } catch {
    return '(left out)';
  }
}
