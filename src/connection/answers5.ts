import { CONNACK, DISCONNECT, lengthBytes, PUBREL, type Qos, SUBACK, UNSUBACK, writeLength } from '../mqtt/packets.js';
import { Property as P, PropertyWriter } from '../mqtt/properties.js';
import { Reason, type ReasonCode } from '../mqtt/reason-codes.js';
import { endInWords } from '../observe/in-words.js';
import type { CloseReason } from '../session/close-reason.js';
import type { ClientSettings } from './connect5.js';
import type { Outbox } from './outbox.js';
import { EMPTY_BLOCK } from './publish-block.js';
import type { ConnectRefusal, SubscribeRefusal, UnsubscribeAnswer, Welcome } from './wire.js';

/** What a client of version 5 is told about this broker. */
export interface ServerSettings {
  readonly receiveMaximum: number;
  readonly packetBytes: number;
  readonly topicAliasMaximum: number;
}

const refusals: Readonly<Record<ConnectRefusal, ReasonCode>> = {
  'unsupported-protocol': Reason.UNSUPPORTED_PROTOCOL_VERSION,
  'client-id-rejected': Reason.CLIENT_IDENTIFIER_NOT_VALID,
  'not-authorised': Reason.NOT_AUTHORIZED,
  unavailable: Reason.SERVER_UNAVAILABLE,
  quota: Reason.QUOTA_EXCEEDED,
};

const subscribeRefusals: Readonly<Record<SubscribeRefusal, ReasonCode>> = {
  denied: Reason.NOT_AUTHORIZED,
  invalid: Reason.TOPIC_FILTER_INVALID,
  'too-many-subscriptions': Reason.QUOTA_EXCEEDED,
  'too-many-retained': Reason.QUOTA_EXCEEDED,
};

const unsubscribeAnswers: Readonly<Record<UnsubscribeAnswer, ReasonCode>> = {
  done: Reason.SUCCESS,
  none: Reason.NO_SUBSCRIPTION_EXISTED,
  invalid: Reason.TOPIC_FILTER_INVALID,
};

/** What a client is told whose connection ends for this reason; null: it said so itself, or can't be told. */
const goodbyes: Readonly<Record<CloseReason, ReasonCode | null>> = {
  disconnect: null,
  'disconnect-with-will': null,
  'peer-closed': null,
  'socket-error': null,
  refused: null,
  'connect-timeout': null,
  'drain-timeout': null,
  'protocol-error': Reason.PROTOCOL_ERROR,
  'internal-error': Reason.IMPLEMENTATION_SPECIFIC_ERROR,
  'keepalive-timeout': Reason.KEEP_ALIVE_TIMEOUT,
  'taken-over': Reason.SESSION_TAKEN_OVER,
  revoked: Reason.NOT_AUTHORIZED,
  'logged-out': Reason.NOT_AUTHORIZED,
  kicked: Reason.ADMINISTRATIVE_ACTION,
  'ended-on-page': Reason.ADMINISTRATIVE_ACTION,
  banned: Reason.ADMINISTRATIVE_ACTION,
  forgotten: Reason.ADMINISTRATIVE_ACTION,
  'memory-limit': Reason.QUOTA_EXCEEDED,
  'store-fault': Reason.IMPLEMENTATION_SPECIFIC_ERROR,
  'broker-stopping': Reason.SERVER_SHUTTING_DOWN,
};

/**
 * What a client of version 5 is answered, in packets that it takes: a Reason String that would make one too large for it
 * is left out [MQTT-3.4.2-2], and so is one that it did not ask for (Request Problem Information, 3.1.2.11.7).
 */
export class Answers5 {
  readonly #client: ClientSettings;
  readonly #server: ServerSettings;

  constructor(client: ClientSettings, server: ServerSettings) {
    this.#client = client;
    this.#server = server;
  }

  /** Null: the client does not take packets of that size. So below. */
  welcome(details: Welcome): Buffer | null {
    const { receiveMaximum, packetBytes, topicAliasMaximum } = this.#server;
    const properties = new PropertyWriter();
    if (details.sessionExpirySeconds !== null) {
      properties.fourBytes(P.SESSION_EXPIRY_INTERVAL, details.sessionExpirySeconds);
    }
    if (receiveMaximum < 65_535) properties.twoBytes(P.RECEIVE_MAXIMUM, receiveMaximum);
    properties.fourBytes(P.MAXIMUM_PACKET_SIZE, packetBytes);
    if (details.assignedClientId !== null) properties.text(P.ASSIGNED_CLIENT_IDENTIFIER, details.assignedClientId);
    if (topicAliasMaximum > 0) properties.twoBytes(P.TOPIC_ALIAS_MAXIMUM, topicAliasMaximum);
    if (details.keepaliveSeconds !== null) properties.twoBytes(P.SERVER_KEEP_ALIVE, details.keepaliveSeconds);
    const head = Buffer.from([details.sessionPresent ? 1 : 0, Reason.SUCCESS]);
    const needed = packetOf(CONNACK << 4, head, properties.block());
    if (details.responseInformation === null) return this.#first(needed);
    properties.text(P.RESPONSE_INFORMATION, details.responseInformation);
    return this.#first(packetOf(CONNACK << 4, head, properties.block()), needed);
  }

  refusal(why: ConnectRefusal, text: string | null): Buffer | null {
    const bare = connackRefusal5(refusals[why]);
    if (text === null) return this.#first(bare);
    return this.#first(packetOf(CONNACK << 4, Buffer.from([0, refusals[why]]), reasonBlock(text)), bare);
  }

  suback(packetId: number, answers: readonly (Qos | SubscribeRefusal)[], text: string | null): Buffer | null {
    const codes = answers.map((answer) => (typeof answer === 'number' ? answer : subscribeRefusals[answer]));
    return this.#answer(SUBACK << 4, packetId, codes, text);
  }

  unsuback(packetId: number, answers: readonly UnsubscribeAnswer[]): Buffer | null {
    return this.#answer(
      UNSUBACK << 4,
      packetId,
      answers.map((answer) => unsubscribeAnswers[answer]),
      null,
    );
  }

  goodbye(why: CloseReason, code: ReasonCode | null, text: string | null): Buffer | null {
    const reason = code ?? goodbyes[why];
    if (reason === null) return null;
    const bare = packetOf(DISCONNECT << 4, Buffer.from([reason]));
    const said = reasonBlock(text ?? endInWords(why, null));
    return this.#first(packetOf(DISCONNECT << 4, Buffer.from([reason]), said), bare);
  }

  acknowledge(
    outbox: Outbox,
    type: number,
    packetId: number,
    code: ReasonCode = Reason.SUCCESS,
    text: string | null = null,
  ): void {
    const head = type === PUBREL ? (PUBREL << 4) | 2 : type << 4;
    if (code === Reason.SUCCESS) {
      outbox.acknowledge(head, packetId);
      return;
    }
    const ids = Buffer.from([packetId >> 8, packetId & 255, code]);
    const block = this.#problemBlock(text);
    const packet = this.#first(...(block === null ? [] : [packetOf(head, ids, block)]), packetOf(head, ids));
    if (packet !== null) outbox.packet(packet);
    else outbox.acknowledge(head, packetId);
  }

  #answer(head: number, packetId: number, codes: readonly number[], text: string | null): Buffer | null {
    const id = Buffer.from([packetId >> 8, packetId & 255]);
    const bare = packetOf(head, id, EMPTY_BLOCK, Buffer.from(codes));
    const block = this.#problemBlock(text);
    return this.#first(block === null ? bare : packetOf(head, id, block, Buffer.from(codes)), bare);
  }

  /** The first of the packets that the client takes; null: none. */
  #first(...packets: readonly Buffer[]): Buffer | null {
    return packets.find(({ length }) => length <= this.#client.maximumPacketSize) ?? null;
  }

  /** The one gate for Reason Strings in packets other than CONNACK and DISCONNECT. */
  #problemBlock(text: string | null): Buffer | null {
    return text === null || !this.#client.wantsProblems ? null : reasonBlock(text);
  }
}

/** A Reason String as the properties of a packet. */
function reasonBlock(text: string): Buffer {
  return new PropertyWriter().text(P.REASON_STRING, text.slice(0, 1_000)).block();
}

/** A CONNACK that refuses says nothing but why. */
export function connackRefusal5(code: ReasonCode): Buffer {
  return Buffer.from([CONNACK << 4, 3, 0, code, 0]);
}

function packetOf(head: number, ...parts: readonly Buffer[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const start = Buffer.allocUnsafe(1 + lengthBytes(length));
  start[0] = head;
  writeLength(start, length, 1);
  return Buffer.concat([start, ...parts]);
}
