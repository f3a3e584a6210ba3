import '../mqtt/buffer-slices.js';
import { isUtf8 } from 'node:buffer';
import { MAX_PACKET_BYTES, type Qos } from '../mqtt/packets.js';
import { Property as P } from '../mqtt/properties.js';
import { Reason } from '../mqtt/reason-codes.js';
import { isValidTopicName } from '../mqtt/topics.js';
import type { WillMessage } from '../session/will.js';
import type { ConnectRequest } from './connect-request.js';
import { fieldEnd, readText } from './fields.js';
import { readProperties } from './packet-properties.js';
import { ProtocolError } from './protocol-error.js';

/** What a client of version 5 says in CONNECT about how it wants to be spoken to. */
export interface ClientSettings {
  readonly receiveMaximum: number;
  readonly maximumPacketSize: number;
  readonly topicAliasMaximum: number;
  /** Request Problem Information: Reason Strings may be sent with every packet. */
  readonly wantsProblems: boolean;
}

const connectProperties: ReadonlySet<number> = new Set([
  ...[P.SESSION_EXPIRY_INTERVAL, P.RECEIVE_MAXIMUM, P.MAXIMUM_PACKET_SIZE, P.TOPIC_ALIAS_MAXIMUM],
  ...[P.REQUEST_RESPONSE_INFORMATION, P.REQUEST_PROBLEM_INFORMATION, P.USER_PROPERTY],
  ...[P.AUTHENTICATION_METHOD, P.AUTHENTICATION_DATA],
]);

const willProperties: ReadonlySet<number> = new Set([
  ...[P.WILL_DELAY_INTERVAL, P.PAYLOAD_FORMAT_INDICATOR, P.MESSAGE_EXPIRY_INTERVAL, P.CONTENT_TYPE],
  ...[P.RESPONSE_TOPIC, P.CORRELATION_DATA, P.USER_PROPERTY],
]);

const CLEAN_START = 0x02;
const WILL = 0x04;
const WILL_RETAIN = 0x20;
const PASSWORD = 0x40;
const USER_NAME = 0x80;

/** Decodes a CONNECT of version 5. `frame` is the whole packet. */
export function decodeConnect5(
  frame: Buffer,
  bodyStart: number,
): { request: ConnectRequest; settings: ClientSettings } {
  const end = frame.length;
  if (bodyStart > 2 && frame[bodyStart - 1] === 0) {
    throw new ProtocolError('MQTT-1.5.5-1', 'a length field that is longer than needed', Reason.MALFORMED_PACKET);
  }
  let at = fieldEnd(frame, bodyStart, end) + 1;
  if (at + 3 > end) throw new ProtocolError('malformed', 'CONNECT ends before its properties');
  const flags = frame[at]!;
  if ((flags & 1) !== 0)
    throw new ProtocolError('MQTT-3.1.2-3', 'the reserved flag of CONNECT', Reason.MALFORMED_PACKET);
  const qos = (flags >> 3) & 3;
  if (qos === 3) throw new ProtocolError('MQTT-3.1.2-12', 'Will QoS 3', Reason.MALFORMED_PACKET);
  if ((flags & WILL) === 0 && (flags & (WILL_RETAIN | 0x18)) !== 0) {
    throw new ProtocolError('MQTT-3.1.2-11', 'Will QoS or Will Retain without a Will', Reason.MALFORMED_PACKET);
  }
  const keepaliveSeconds = frame.readUInt16BE(at + 1);
  const own = readConnectProperties(frame, at + 3, end);
  at = own.end;

  const idEnd = fieldEnd(frame, at, end);
  const clientId = readText(frame, at + 2, idEnd, 'client id');
  at = idEnd;
  let will: WillMessage | null = null;
  if ((flags & WILL) !== 0) {
    const read = readWill(frame, at, end, qos as Qos, (flags & WILL_RETAIN) !== 0);
    will = read.will;
    at = read.end;
  }
  let username: string | undefined;
  if ((flags & USER_NAME) !== 0) {
    const nameEnd = fieldEnd(frame, at, end);
    username = readText(frame, at + 2, nameEnd, 'user name');
    at = nameEnd;
  }
  let password: Buffer | undefined;
  if ((flags & PASSWORD) !== 0) {
    const passwordEnd = fieldEnd(frame, at, end);
    password = frame.subarray(at + 2, passwordEnd);
    at = passwordEnd;
  }
  if (at !== end) throw new ProtocolError('malformed', 'bytes behind the last field of CONNECT');
  return {
    request: {
      clientId,
      clean: (flags & CLEAN_START) !== 0,
      sessionExpirySeconds: own.sessionExpirySeconds,
      keepaliveSeconds,
      username,
      password,
      will,
      wantsResponseInformation: own.wantsResponseInformation,
    },
    settings: own.settings,
  };
}

function readConnectProperties(frame: Buffer, at: number, packetEnd: number) {
  let sessionExpirySeconds = 0;
  let receiveMaximum = 65_535;
  let maximumPacketSize = MAX_PACKET_BYTES;
  let topicAliasMaximum = 0;
  let wantsProblems = true;
  let wantsResponseInformation = false;
  let method: string | null = null;
  let hasData = false;
  const end = readProperties(frame, at, packetEnd, connectProperties, (property) => {
    switch (property.id) {
      case P.SESSION_EXPIRY_INTERVAL:
        sessionExpirySeconds = property.number;
        break;
      case P.RECEIVE_MAXIMUM:
        receiveMaximum = property.number;
        if (receiveMaximum === 0) throw new ProtocolError('MQTT-3.1.2.11.3', 'Receive Maximum 0');
        break;
      case P.MAXIMUM_PACKET_SIZE:
        maximumPacketSize = property.number;
        if (maximumPacketSize === 0) throw new ProtocolError('MQTT-3.1.2.11.4', 'Maximum Packet Size 0');
        break;
      case P.TOPIC_ALIAS_MAXIMUM:
        topicAliasMaximum = property.number;
        break;
      case P.REQUEST_PROBLEM_INFORMATION:
        wantsProblems = property.flag;
        break;
      case P.REQUEST_RESPONSE_INFORMATION:
        wantsResponseInformation = property.flag;
        break;
      case P.AUTHENTICATION_METHOD:
        method = property.text;
        break;
      case P.AUTHENTICATION_DATA:
        hasData = true;
        break;
      default:
    }
  });
  if (hasData && method === null) {
    throw new ProtocolError('MQTT-3.1.2.11.10', 'Authentication Data without an Authentication Method');
  }
  if (method !== null) {
    throw new ProtocolError(
      'MQTT-4.12.0-1',
      'enhanced authentication, which is not offered here: log in with user name and password',
      Reason.BAD_AUTHENTICATION_METHOD,
    );
  }
  const settings = { receiveMaximum, maximumPacketSize, topicAliasMaximum, wantsProblems };
  return { end, sessionExpirySeconds, wantsResponseInformation, settings };
}

function readWill(
  frame: Buffer,
  at: number,
  packetEnd: number,
  qos: Qos,
  retain: boolean,
): { will: WillMessage; end: number } {
  let delaySeconds = 0;
  let expirySeconds: number | null = null;
  let isText = false;
  const kept: Buffer[] = [];
  const propertiesEnd = readProperties(frame, at, packetEnd, willProperties, (property) => {
    if (property.id === P.WILL_DELAY_INTERVAL) {
      delaySeconds = property.number;
      return;
    }
    if (property.id === P.MESSAGE_EXPIRY_INTERVAL) {
      expirySeconds = property.number;
      return;
    }
    if (property.id === P.PAYLOAD_FORMAT_INDICATOR) isText = property.flag;
    if (property.id === P.RESPONSE_TOPIC) checkResponseTopic(property.text);
    kept.push(frame.subarray(property.start, property.end));
  });
  const topicEnd = fieldEnd(frame, propertiesEnd, packetEnd);
  const topic = readText(frame, propertiesEnd + 2, topicEnd, 'Will topic');
  if (!isValidTopicName(topic)) {
    throw new ProtocolError('MQTT-3.1.3-11', 'a Will topic that is empty or has a wildcard', Reason.TOPIC_NAME_INVALID);
  }
  const end = fieldEnd(frame, topicEnd, packetEnd);
  const payload = Buffer.from(frame.subarray(topicEnd + 2, end));
  if (isText && !isUtf8(payload)) {
    throw new ProtocolError(
      'MQTT-3.1.3.2.3',
      'a Will that says it is text, and is not UTF-8',
      Reason.PAYLOAD_FORMAT_INVALID,
    );
  }
  const properties = kept.length === 0 ? null : Buffer.concat(kept);
  return { will: { topic, payload, qos, retain, delaySeconds, expirySeconds, properties }, end };
}

/** [MQTT-3.3.2-14] */
export function checkResponseTopic(topic: string): void {
  if (isValidTopicName(topic)) return;
  throw new ProtocolError('MQTT-3.3.2-14', 'a Response Topic that is empty or has a wildcard');
}
