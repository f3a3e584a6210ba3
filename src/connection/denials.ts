import { bracketHint, denialText } from '../acl/hint.js';
import type { Counters } from '../observe/counters.js';
import type { History } from '../observe/history.js';
import { limitHint } from '../observe/in-words.js';
import { countLimit } from '../observe/limits-reached.js';
import type { Log } from '../observe/log.js';
import type { RateLimited } from '../observe/rate-limited.js';
import type { ClientIdentity, Gate } from '../session/gate.js';
import type { SubscribeRefusal } from './wire.js';

export interface DenialContext {
  readonly counters: Counters;
  readonly gate: Pick<Gate, 'mayReceive'>;
  readonly history: History;
  readonly log: Log;
  readonly noisyLog: RateLimited;
}

/** A PUBLISH to a topic, or with a Response Topic, that is not the user's. */
export function tellPublishDenied(context: DenialContext, client: ClientIdentity, topic: string): void {
  context.counters.publishesDenied++;
  const { login, clientId } = client;
  context.history.denied(client, 'publish', topic, 'denied', () => publishHelp(context, client, topic));
  const fields = { topic: topic.slice(0, 200) };
  warn(context, client, `publish:${clientId}`, fields, bracketHint(login, topic), 'publish denied');
}

/** What helps whoever publishes to a topic that is refused: in the history, and in the PUBACK of MQTT 5. */
export function publishHelp({ gate }: Pick<DenialContext, 'gate'>, client: ClientIdentity, topic: string): string {
  return denialText(client.login, topic, gate.mayReceive(client, topic));
}

/** A filter that is not granted. */
export function tellSubscribeDenied(
  context: DenialContext,
  client: ClientIdentity,
  filter: string,
  reason: SubscribeRefusal,
): void {
  if (reason === 'denied') context.counters.subscriptionsDenied++;
  countLimit(context.counters, reason);
  const { login, clientId } = client;
  context.history.denied(client, 'subscribe', filter, reason, () => subscribeHelp(login, filter, reason));
  const fields = { filter: filter.slice(0, 200), reason };
  const key = `subscribe:${reason}:${clientId}`;
  warn(context, client, key, fields, bracketHint(login, filter), 'subscription denied');
}

/** What helps whoever asked for a filter that is refused: in the history, and in the SUBACK of MQTT 5. */
export function subscribeHelp(login: string, filter: string, refusal: SubscribeRefusal): string {
  return refusal === 'denied' ? denialText(login, filter) : limitHint(refusal);
}

function warn(
  { log, noisyLog }: DenialContext,
  { login, clientId: client }: ClientIdentity,
  key: string,
  fields: object,
  hint: string | null,
  message: string,
): void {
  noisyLog.user(login).line(key, (suppressed) => {
    const more = { ...(hint === null ? {} : { hint }), ...(suppressed > 0 ? { suppressed } : {}) };
    log.warn({ login, client, ...fields, ...more }, message);
  });
}
