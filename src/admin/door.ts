import type { IncomingMessage, ServerResponse } from 'node:http';
import { jsonText } from './json-text.js';
import type { Answer, Caller, Sink } from './route.js';
import { problem, type Router } from './router.js';

/** The largest body. */
const BODY_BYTES = 64 * 1024;

/** Common to every answer: nothing is kept, guessed at, framed or run by a browser. */
const headers = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

/** Answers a request of `caller`, who has shown that he may ask; what a browser may have been led to is refused. */
export async function answerRequest(
  router: Router,
  caller: Omit<Caller, 'claims'>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const method = request.method ?? '';
  const refusal = whyNot(request);
  if (refusal !== null) {
    send(response, refusal);
    return;
  }
  const body = await readBody(request);
  if (body === 'too-large' || body === 'gone') {
    if (body === 'too-large') {
      response.setHeader('connection', 'close');
      send(response, problem(413, 'too-large', `a body has at most ${BODY_BYTES} bytes`));
    }
    return;
  }
  const claims = request.headers['x-operator'];
  const asked = { ...caller, claims: typeof claims === 'string' ? claims.slice(0, 64) : null };
  send(response, await router.answer({ method, url: request.url ?? '/', body, caller: asked }));
}

/** Programs send no Origin, and JSON as JSON: what does otherwise is a page in somebody's browser. */
function whyNot({ headers: given, method }: IncomingMessage): Answer | null {
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
