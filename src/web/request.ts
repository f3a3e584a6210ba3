import type { IncomingMessage } from 'node:http';
import { Refusal } from '../admin/route.js';
import type { Clock } from '../clock.js';
import type { Balance } from '../fairness/account.js';
import { Charge } from '../fairness/charge.js';

/**
 * Whether a browser may have been led here by a page of somebody else's. What a page of this port asks for comes with its
 * own Origin, or without one when it only reads; whatever changes something comes as JSON, which no form of another page
 * can send.
 */
export function checkOrigin({ headers, method }: IncomingMessage): void {
  const { origin, host = '' } = headers;
  const site = headers['sec-fetch-site'];
  const own = origin === `https://${host}`;
  const reads = method === 'GET' || method === 'HEAD';
  if ((origin !== undefined && !own) || (origin === undefined && !reads)) {
    throw new Refusal(403, 'foreign-origin', 'Origin is not this port');
  }
  if (site !== undefined && site !== 'same-origin' && !(reads && site === 'none')) {
    throw new Refusal(403, 'foreign-origin', 'a page from elsewhere asks');
  }
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  if (hasBody && reads) throw new Refusal(400, 'bad-body', 'GET has no body');
  const type = headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  if ((hasBody || method === 'POST') && type !== 'application/json') {
    throw new Refusal(415, 'wrong-type', 'a body is application/json');
  }
}

/** The body, of so many bytes at the most, which are charged while it is read; null: there is none. */
export function readBody(request: IncomingMessage, most: number, balance: Balance): Promise<string | null> {
  const charge = new Charge(balance);
  return new Promise<string | null>((resolve, reject) => {
    const chunks: Buffer[] = [];
    const read = (chunk: Buffer): void => {
      charge.add(chunk.length);
      chunks.push(chunk);
      if (charge.bytes <= most) return;
      request.off('data', read);
      request.pause();
      reject(new Refusal(413, 'too-large', `a body has at most ${most} bytes`));
    };
    request.on('data', read);
    request.on('end', () => resolve(charge.bytes === 0 ? null : Buffer.concat(chunks).toString('utf8')));
    request.on('close', () => reject(new Refusal(400, 'bad-body', 'the body did not come')));
  }).finally(() => {
    charge.balance = null;
  });
}

/** Of a body that nobody wants; sockets that are closed with bytes unread are reset, and the answer may be lost. */
const DRAINED_BYTES = 2 * 1024 * 1024;
const DRAIN_MS = 2_000;

/** Lets the rest of a body come, and drops it; calls back at its end, or after so much of it, or so long. */
export function drain(request: IncomingMessage, clock: Clock, done: () => void): void {
  let left = DRAINED_BYTES;
  const drop = (chunk: Buffer): void => {
    left -= chunk.length;
    if (left < 0) finish();
  };
  const finish = (): void => {
    cancel();
    for (const event of ['end', 'close']) request.off(event, finish);
    request.off('data', drop);
    done();
  };
  const cancel = clock.after(DRAIN_MS, finish);
  request.on('data', drop);
  for (const event of ['end', 'close']) request.on(event, finish);
  request.resume();
}

/** `__Host-`: set by this very host over HTTPS, for all paths, and by nobody else. */
const COOKIE = '__Host-session';

export function tokenIn({ headers: { cookie = '' } }: IncomingMessage): string {
  for (const pair of cookie.split(';', 50)) {
    const [name, value] = pair.trim().split('=', 2);
    if (name === COOKIE && value !== undefined) return value.slice(0, 100);
  }
  return '';
}

export function cookieOf(token: string, seconds: number): string {
  return `${COOKIE}=${token}; Path=/; Max-Age=${seconds}; Secure; HttpOnly; SameSite=Strict`;
}
