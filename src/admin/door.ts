import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { jsonText } from '../observe/json-text.js';
import type { RateLimited } from '../observe/rate-limited.js';
import type { Audit } from './audit.js';
import type { Answer, Caller, Sink } from './route.js';
import { type Answerer, problem } from './router.js';

/** The largest body. */
const BODY_BYTES = 64 * 1024;

/** The longest that an answer may take: a list of users to add, for instance. */
const ANSWER_TIMEOUT_MS = 120_000;

/** Common to every answer: nothing is kept, guessed at, framed or run by a browser. */
const headers = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

export interface Door {
  readonly router: Answerer;
  readonly audit: Audit;
  /** For refusals. */
  readonly noisyLog: RateLimited;
  /** Names, besides addresses and `localhost`, that lead here. */
  readonly names: readonly string[];
}

/**
 * Answers a request of `caller`, who has shown that he may ask. What a browser may have been led to is refused.
 * `becomesStream` is asked before an answer that goes on and on; false: there are too many.
 */
export async function answerRequest(
  door: Door,
  caller: Omit<Caller, 'claims'>,
  request: IncomingMessage,
  response: ServerResponse,
  becomesStream: () => boolean,
): Promise<void> {
  const refusal = whyNot(request, door.names);
  if (refusal !== null) {
    refuse(door, caller, request, response, refusal);
    return;
  }
  const body = await readBody(request);
  if (body === 'gone') return;
  request.socket.setTimeout(ANSWER_TIMEOUT_MS);
  if (body === 'too-large') {
    const tooLarge = problem(413, 'too-large', `a body has at most ${BODY_BYTES} bytes`);
    refuse(door, caller, request, response, tooLarge);
    return;
  }
  const claims = request.headers['x-operator'];
  const asked = { ...caller, claims: typeof claims === 'string' ? claims.slice(0, 64) : null };
  const { method = '', url = '/' } = request;
  const answer = await door.router.answer({ method, url, body, caller: asked });
  if (answer.kind !== 'stream' || becomesStream()) send(response, answer);
  else send(response, problem(503, 'too-many-streams', 'as many streams as may be are open'));
}

/** Refuses, and tells the audit log: not more often than it can bear, since anybody may be the cause. */
export function refuse(
  { audit, noisyLog }: Pick<Door, 'audit' | 'noisyLog'>,
  caller: Omit<Caller, 'claims'>,
  request: IncomingMessage,
  response: ServerResponse,
  refusal: Answer,
): void {
  const { status, value } = refusal as Extract<Answer, { kind: 'json' }>;
  const { code } = (value as { error: { code: string } }).error;
  const what = `${request.method} ${(request.url ?? '').slice(0, 200)}`;
  noisyLog.network(caller.address ?? caller.door).line(code, (suppressed) => {
    audit.write({ caller: { ...caller, claims: null }, what, body: null, status, result: code, suppressed });
  });
  // The body that may follow is never read.
  response.setHeader('connection', 'close');
  send(response, refusal);
}

/**
 * Programs send no Origin, JSON as JSON, and the name that they were given: what does otherwise is a page in somebody's
 * browser, perhaps under a name of its own that leads here.
 */
function whyNot({ headers: given, method }: IncomingMessage, names: readonly string[]): Answer | null {
  if (!isKnownHost(given.host, names)) {
    return problem(403, 'wrong-host', 'the name in Host is none of this broker; admin.names lists those that are');
  }
  if (given.origin !== undefined || given['sec-fetch-site'] !== undefined) {
    return problem(403, 'foreign-origin', 'this interface is for programs, not for pages in a browser');
  }
  const hasBody = given['transfer-encoding'] !== undefined || Number(given['content-length'] ?? 0) > 0;
  if (hasBody && method === 'GET') return problem(400, 'bad-body', 'GET has no body');
  const type = given['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  if (hasBody && type !== 'application/json') {
    return problem(415, 'wrong-type', 'a body is application/json');
  }
  return null;
}

function isKnownHost(host: string | undefined, names: readonly string[]): boolean {
  if (host === undefined) return false;
  const name = host
    .replace(/:\d{1,5}$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  return name === 'localhost' || isIP(name) !== 0 || names.includes(name);
}

function readBody(request: IncomingMessage): Promise<string | null | 'too-large' | 'gone'> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > BODY_BYTES) {
        request.pause();
        resolve('too-large');
      } else chunks.push(chunk);
    });
    request.on('end', () => resolve(bytes === 0 ? null : Buffer.concat(chunks).toString('utf8')));
    request.on('error', () => resolve('gone'));
    request.on('close', () => resolve('gone'));
  });
}

export function send(response: ServerResponse, answer: Answer): void {
  if (response.destroyed) return;
  if (answer.kind === 'stream') {
    response.writeHead(200, { ...headers, 'content-type': answer.type });
    response.flushHeaders();
    response.socket?.setTimeout(0);
    answer.begin(sinkOf(response));
    return;
  }
  const [status, type, text] =
    answer.kind === 'json'
      ? [answer.status, 'application/json', `${jsonText(answer.value)}\n`]
      : [200, answer.type, answer.text];
  response.writeHead(status, { ...headers, 'content-type': type, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

function sinkOf(response: ServerResponse): Sink {
  return {
    get unsentBytes() {
      return response.writableLength;
    },
    write: (text) => {
      if (!response.destroyed) response.write(text);
    },
    end: () => response.end(),
    onClose: (gone) => void response.once('close', gone),
  };
}
