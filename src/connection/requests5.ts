import type { Qos } from '../mqtt/packets.js';
import { Property as P } from '../mqtt/properties.js';
import { Reason } from '../mqtt/reason-codes.js';
import { checkCount, FILTERS_PER_STEP, fieldEnd, readFilters, readPacketId, readText } from './fields.js';
import { readProperties } from './packet-properties.js';
import { ProtocolError } from './protocol-error.js';
import type { Reading, RequestedSubscription, SubscribeRequest, UnsubscribeRequest } from './wire.js';

const subscribeProperties: ReadonlySet<number> = new Set([P.SUBSCRIPTION_IDENTIFIER, P.USER_PROPERTY]);
const unsubscribeProperties: ReadonlySet<number> = new Set([P.USER_PROPERTY]);

/** Subscription options (3.8.3.1). */
const QOS = 0x03;
const NO_LOCAL = 0x04;
const OPTIONS = 0x3c;
const RETAIN_HANDLING = 0x30;
const RESERVED = 0xc0;

export function* readSubscribe5(
  chunk: Buffer,
  start: number,
  bodyStart: number,
  end: number,
  maxFilters: number,
): Reading<SubscribeRequest> {
  checkHead(chunk, start, bodyStart, end, 'MQTT-3.8.1-1');
  const packetId = readPacketId(chunk, bodyStart, 'MQTT-2.2.1-3');
  let identifier: number | null = null;
  const from = readProperties(chunk, bodyStart + 2, end, subscribeProperties, (property) => {
    if (property.id !== P.SUBSCRIPTION_IDENTIFIER) return;
    identifier = property.number;
    if (identifier === 0) throw new ProtocolError('MQTT-3.8.2.1.2', 'Subscription Identifier 0');
  });
  checkCount(chunk, from, end, 1, maxFilters);
  const subscriptions: RequestedSubscription[] = [];
  for (let i = from; i < end; ) {
    const filterEnd = fieldEnd(chunk, i, end);
    if (filterEnd === end) throw new ProtocolError('malformed', 'SUBSCRIBE ends before its options');
    const filter = readText(chunk, i + 2, filterEnd, 'topic filter');
    const options = chunk[filterEnd]!;
    checkOptions(options, filter);
    subscriptions.push({ filter, qos: (options & QOS) as Qos, options: options & OPTIONS });
    i = filterEnd + 1;
    if (subscriptions.length % FILTERS_PER_STEP === 0) yield;
  }
  if (subscriptions.length === 0) throw new ProtocolError('MQTT-3.8.3-2', 'SUBSCRIBE without a filter');
  return { packetId, subscriptions, identifier };
}

export function* readUnsubscribe5(
  chunk: Buffer,
  start: number,
  bodyStart: number,
  end: number,
  maxFilters: number,
): Reading<UnsubscribeRequest> {
  checkHead(chunk, start, bodyStart, end, 'MQTT-3.10.1-1');
  const packetId = readPacketId(chunk, bodyStart, 'MQTT-2.2.1-3');
  const from = readProperties(chunk, bodyStart + 2, end, unsubscribeProperties);
  checkCount(chunk, from, end, 0, maxFilters);
  return { packetId, filters: yield* readFilters(chunk, from, end) };
}

function checkHead(chunk: Buffer, start: number, bodyStart: number, end: number, tag: string): void {
  if ((chunk[start]! & 15) !== 2)
    throw new ProtocolError(tag, 'reserved bits of the first byte', Reason.MALFORMED_PACKET);
  if (end - bodyStart < 3) throw new ProtocolError('malformed', 'the packet ends before its properties');
}

function checkOptions(options: number, filter: string): void {
  if ((options & RESERVED) !== 0) {
    throw new ProtocolError('MQTT-3.8.3-5', 'reserved bits of the subscription options', Reason.MALFORMED_PACKET);
  }
  if ((options & QOS) === QOS) throw new ProtocolError('MQTT-3.8.3.1', 'a requested QoS of 3');
  if ((options & RETAIN_HANDLING) === RETAIN_HANDLING) throw new ProtocolError('MQTT-3.8.3.1', 'Retain Handling 3');
  if ((options & NO_LOCAL) !== 0 && filter.startsWith('$share/')) {
    throw new ProtocolError('MQTT-3.8.3-4', 'No Local in a shared subscription');
  }
}
