import type { ServerResponse } from 'node:http';
import { dateOf } from '../admin/dates.js';
import type { Answer, Sink } from '../admin/route.js';
import type { Ban } from '../credentials/bans.js';
import type { Balance } from '../fairness/account.js';
import { Charge } from '../fairness/charge.js';
import { jsonText } from '../observe/json-text.js';

/** Nothing from elsewhere, no script in a page's text, no page around it, and nothing told to where a link leads. */
export const securityHeaders = {
  'content-security-policy':
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
} as const;

/** `last` ends the answer, once it is written, when its moment has come. */
export function send(
  response: ServerResponse,
  answer: Exclude<Answer, { kind: 'stream' }>,
  last: (() => void) | null = null,
): void {
  const text = answer.kind === 'json' ? `${jsonText(answer.value)}\n` : answer.text;
  const [status, type] = answer.kind === 'json' ? [answer.status, 'application/json'] : [200, answer.type];
  response.writeHead(status, {
    ...securityHeaders,
    ...{ 'cache-control': 'no-store', 'content-type': type, 'content-length': Buffer.byteLength(text) },
  });
  if (last === null) return void response.end(text);
  response.write(text);
  last();
}

/** What operators say of why is for whom it is about, too. */
export function bannedAnswer({ kind, until, reason }: Ban): Extract<Answer, { kind: 'json' }> {
  const who = kind === 'login' ? 'you' : 'your address';
  const date = dateOf(until);
  const message = `an operator keeps ${who} out until ${date}${reason === '' ? '' : `: ${reason}`}`;
  return { kind: 'json', status: 403, value: { error: { code: 'banned', message, of: kind, until: date, reason } } };
}

/** Begins a stream. What its reader has not taken is charged. Returns what ends it. */
export function sendStream(
  response: ServerResponse,
  { type, begin }: Extract<Answer, { kind: 'stream' }>,
  balance: Balance,
): () => void {
  const charge = new Charge(balance);
  const settle = () => charge.add(response.writableLength - charge.bytes);
  response.writeHead(200, { ...securityHeaders, 'cache-control': 'no-store', 'content-type': type });
  response.flushHeaders();
  response.socket?.setTimeout(0);
  response.once('close', () => {
    charge.balance = null;
  });
  const sink: Sink = {
    get unsentBytes() {
      return response.writableLength;
    },
    write: (text) => {
      if (response.destroyed) return;
      response.write(text, settle);
      settle();
    },
    end: () => void response.end(),
    onClose: (gone) => void response.once('close', gone),
  };
  begin(sink);
  return () => {
    // Not later than this: whoever reads must notice.
    response.end(() => response.socket?.destroy());
    response.socket?.setTimeout(1_000);
  };
}
