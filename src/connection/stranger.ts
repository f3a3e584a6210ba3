import type { Account } from '../fairness/account.js';
import { CONNECT, LARGEST_CONNECT_BYTES } from '../mqtt/packets.js';
import { isValidTopicName } from '../mqtt/topics.js';
import { refusalInWords } from '../observe/in-words.js';
import { connackRefusal5 } from './answers5.js';
import { type RefusedMore, tellRefusal } from './comings.js';
import { decodeConnect, protocolOf } from './connect-packet.js';
import type { ConnectRequest } from './connect-request.js';
import { decodeConnect5 } from './connect5.js';
import type { Connection } from './connection.js';
import type { FrameHandler } from './frame-handler.js';
import { Newcomer, type NewcomerContext } from './newcomer.js';
import { ProtocolError } from './protocol-error.js';
import type { Identification } from './registry.js';
import type { ConnectRefusal, Wire } from './wire.js';
import { Wire5 } from './wire5.js';

/** Longer client ids are refused: they are keys of the store and stand in every log line. */
const CLIENT_ID_BYTES = 1_024;

/** A connection's peer until it is known who that is: from the first byte to the answer to its credentials. */
export class Stranger implements FrameHandler {
  /** The network that it came from. */
  readonly account: Account;
  readonly largestFrame = LARGEST_CONNECT_BYTES;
  readonly #context: NewcomerContext;
  readonly #connection: Connection;
  /** CONNECT is here since then. */
  #askedAtMs = 0;

  constructor(context: NewcomerContext, connection: Connection, network: Account) {
    this.#context = context;
    this.#connection = connection;
    this.account = network;
  }

  /** The first packet of a connection: a CONNECT, or the end [MQTT-3.1.0-1]. */
  handle(chunk: Buffer, start: number, bodyStart: number, end: number): number {
    const { counters, clock } = this.#context;
    counters.packetsReceived[chunk[start]! >> 4]!++;
    this.#askedAtMs = clock.monotonicMs();
    if (chunk[start] !== CONNECT << 4) throw new ProtocolError('MQTT-3.1.0-1', 'the first packet is not a CONNECT');
    this.#connection.connecting();
    // Copied: checking the credentials takes longer than the received bytes are good for.
    this.#connect(Buffer.from(chunk.subarray(start, end)), bodyStart - start);
    return 1;
  }

  #connect(frame: Buffer, bodyStart: number): void {
    const protocol = protocolOf(frame.subarray(bodyStart));
    if (protocol === null) throw new ProtocolError('MQTT-3.1.2-1', 'CONNECT does not name MQTT');
    const { level, wire } = protocol;
    if (level === 5 && wire === null) {
      this.#connect5(frame, bodyStart);
      return;
    }
    if (wire === null) {
      this.#tellRefusal(undefined, undefined, 'unsupported-protocol', { protocolLevel: level });
      this.#refuse(Buffer.from([0x20, 2, 0, 1])); // [MQTT-3.1.2-2]
      return;
    }
    const request = decodeConnect(frame, bodyStart);
    if (request.will !== null && !isValidTopicName(request.will.topic)) {
      throw new ProtocolError('MQTT-3.1.3-10', 'a Will topic that is empty or has a wildcard');
    }
    this.#check(wire, request);
  }

  /** What is wrong with a CONNECT of version 5 is told in CONNACK (3.1.4). */
  #connect5(frame: Buffer, bodyStart: number): void {
    const { limits, clock } = this.#context;
    try {
      const { request, settings } = decodeConnect5(frame, bodyStart);
      this.#check(new Wire5(settings, limits, () => clock.epochMs()), request);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#tellRefusal(undefined, undefined, 'protocol-error', { detail: `${error.message} [${error.tag}]` });
      this.#refuse(connackRefusal5(error.reason));
    }
  }

  #check(wire: Wire, request: ConnectRequest): void {
    const { clientId, clean } = request;
    // MQTT 3.1 has no assigned client ids; 3.1.1 has them for clean sessions only [MQTT-3.1.3-8]; 5 has them always.
    const nameless = clientId === '' && (wire.level === 3 || (wire.level === 4 && !clean));
    if (nameless || Buffer.byteLength(clientId) > CLIENT_ID_BYTES) {
      this.#turnAway(wire, 'client-id-rejected', request.username, clientId, 'client-id-rejected');
      return;
    }
    void this.#identify(wire, request);
  }

  async #identify(wire: Wire, request: ConnectRequest): Promise<void> {
    const { address } = this.#connection;
    if (this.#context.bans.of('address', address) !== null) {
      this.#turnAway(wire, 'not-authorised', request.username, request.clientId, 'banned');
      return;
    }
    try {
      const who = await this.#context.registry.identify(address, request.username, request.password);
      if (!this.#connection.closed) this.#decide(wire, request, who);
    } catch (error) {
      this.#context.log.error({ err: error, login: request.username }, 'CONNECT could not be handled');
      this.#connection.close('internal-error');
    }
  }

  #decide(wire: Wire, request: ConnectRequest, who: Identification): void {
    const { fault } = this.#context.store;
    const { username, clientId } = request;
    const keptOut = who.kind === 'accepted' ? this.#context.bans.keepsOut(who.login) : null;
    if (who.kind === 'refused') {
      this.#turnAway(wire, 'not-authorised', username, clientId, who.reason);
    } else if (who.kind === 'unavailable') {
      const { code, message } = who.error;
      this.#turnAway(wire, 'unavailable', username, clientId, who.reason, { code, detail: message });
    } else if (keptOut !== null) {
      this.#turnAway(wire, 'not-authorised', who.login, clientId, keptOut);
    } else if (fault !== null && (!request.clean || request.sessionExpirySeconds !== 0 || request.will !== null)) {
      this.#turnAway(wire, 'unavailable', who.login, clientId, 'store-fault', { code: fault.code });
    } else {
      const turnAway = (reason: string, more: RefusedMore = {}) => {
        const why = reason === 'banned' ? 'not-authorised' : 'quota';
        this.#turnAway(wire, why, who.login, clientId, reason, more);
      };
      const accepted = () => this.#observe('accepted');
      new Newcomer(this.#context, { connection: this.#connection, wire, request, who, accepted, turnAway }).comeIn();
    }
  }

  #turnAway(
    wire: Wire,
    why: ConnectRefusal,
    login: string | undefined,
    clientId: string,
    reason: string,
    more: RefusedMore = {},
  ): void {
    this.#tellRefusal(login, clientId, reason, more);
    this.#refuse(wire.refusal(why, why === 'quota' ? refusalInWords(reason, more.detail) : null));
  }

  #refuse(connack: Buffer | null): void {
    this.#observe('refused');
    this.#connection.refuse(connack);
  }

  /** How long CONNECT took to be answered. */
  #observe(result: 'accepted' | 'refused'): void {
    const { counters, clock } = this.#context;
    counters.connectSeconds[result].observe((clock.monotonicMs() - this.#askedAtMs) / 1_000);
  }

  #tellRefusal(login: string | undefined, clientId: string | undefined, reason: string, more: RefusedMore): void {
    const { address } = this.#connection;
    tellRefusal(this.#context, { address, network: this.account.name, login, clientId, reason }, more);
  }
}
