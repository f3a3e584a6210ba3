import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.js';
import type { LimitsConfig } from '../config/config.js';
import type { Bans } from '../credentials/bans.js';
import type { Account } from '../fairness/account.js';
import { CONNECT, LARGEST_CONNECT_BYTES } from '../mqtt/packets.js';
import { isValidTopicName } from '../mqtt/topics.js';
import type { Counters } from '../observe/counters.js';
import type { History } from '../observe/history.js';
import { refusalInWords } from '../observe/in-words.js';
import type { Log } from '../observe/log.js';
import type { RateLimited } from '../observe/rate-limited.js';
import { scopedId } from '../session/gate.js';
import { whyNoMore } from '../session/limit-use.js';
import type { RuleChanges } from '../session/rule-changes.js';
import type { Session } from '../session/session.js';
import type { Sessions } from '../session/sessions.js';
import type { UserAccount } from '../session/user-account.js';
import { type WillMessage, type Wills, willBytes } from '../session/will.js';
import type { Store } from '../store/contract.js';
import { connackRefusal5 } from './answers5.js';
import { type RefusedMore, tellArrival, tellRefusal } from './comings.js';
import { decodeConnect, protocolOf } from './connect-packet.js';
import type { ConnectRequest } from './connect-request.js';
import { decodeConnect5 } from './connect5.js';
import { CONNECTION_BYTES, type Connection } from './connection.js';
import type { FrameHandler } from './frame-handler.js';
import { ProtocolError } from './protocol-error.js';
import type { Identification, RegisteredClient, Registry } from './registry.js';
import type { ConnectRefusal, Welcome, Wire } from './wire.js';
import { Wire5 } from './wire5.js';

/** Longer client ids are refused: they are keys of the store and stand in every log line. */
const CLIENT_ID_BYTES = 1_024;

type Accepted = Identification & { readonly kind: 'accepted' };

/** What is known of a client when its session was found. */
export interface Arrival {
  readonly connection: Connection;
  readonly registered: RegisteredClient;
  readonly account: UserAccount;
  readonly session: Session;
  readonly wire: Wire;
  readonly will: WillMessage | null;
  readonly keepaliveMs: number;
  /** What CONNECT said about the session's expiry. */
  readonly askedExpirySeconds: number | null;
  /** What the credential backend needs to check later whether the user is still entitled. */
  readonly proof: unknown;
}

export interface StrangerContext {
  readonly limits: LimitsConfig;
  readonly clock: Clock;
  readonly sessions: Sessions;
  readonly ruleChanges: Pick<RuleChanges, 'setGroups'>;
  readonly store: Pick<Store, 'fault' | 'committed'>;
  readonly counters: Counters;
  readonly history: History;
  readonly log: Log;
  readonly noisyLog: RateLimited;
  readonly registry: Registry;
  readonly wills: Pick<Wills, 'resumed'>;
  /** Whom operators keep out for a while. */
  readonly bans: Pick<Bans, 'of' | 'keepsOut'>;
  /** Makes the client that frames go to from here on. */
  admit(arrival: Arrival): { attach(): void };
}

/** A connection's peer until its CONNECT is accepted, from the first byte to CONNACK. */
export class Stranger implements FrameHandler {
  /** The network that it came from. */
  readonly account: Account;
  readonly largestFrame = LARGEST_CONNECT_BYTES;
  readonly #context: StrangerContext;
  readonly #connection: Connection;
  /** CONNECT is here since then. */
  #askedAtMs = 0;

  constructor(context: StrangerContext, connection: Connection, network: Account) {
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
    if (who.kind === 'refused') {
      this.#turnAway(wire, 'not-authorised', username, clientId, who.reason);
    } else if (who.kind === 'unavailable') {
      const { code, message } = who.error;
      this.#turnAway(wire, 'unavailable', username, clientId, who.reason, { code, detail: message });
    } else if (this.#context.bans.keepsOut(who.login)) {
      this.#turnAway(wire, 'not-authorised', who.login, clientId, 'banned');
    } else if (fault !== null && (!request.clean || request.sessionExpirySeconds !== 0 || request.will !== null)) {
      this.#turnAway(wire, 'unavailable', who.login, clientId, 'store-fault', { code: fault.code });
    } else {
      this.#letIn(wire, request, who);
    }
  }

  #letIn(wire: Wire, request: ConnectRequest, who: Accepted): void {
    const connection = this.#connection;
    const { sessions, registry } = this.#context;
    const { login } = who;
    const account = sessions.account(login);
    // First of all: limits and rules may turn on them.
    this.#context.ruleChanges.setGroups(account, who.groups);
    const clientId = request.clientId === '' ? `auto-${randomUUID()}` : request.clientId; // [MQTT-3.1.3-6]
    const takesOver = sessions.get(login, clientId)?.holder != null;
    if (account.connections.size >= account.limits.connectionsPerUser && !takesOver) {
      const { reason, more } = whyNoMore(account, this.#context.clock.epochMs());
      this.#turnAway(wire, 'quota', login, request.clientId, reason, more);
      sessions.release(account);
      return;
    }
    if (!account.hasRoom(CONNECTION_BYTES + (request.will === null ? 0 : willBytes(request.will)))) {
      this.#turnAway(wire, 'quota', login, clientId, 'memory-limit', { held: account.heldBytes });
      sessions.release(account);
      return;
    }
    // Before an older connection leaves: an account without any would be forgotten, and its limits with it.
    account.connections.add(connection);
    who.onAdmitted?.(connection);
    const registered: RegisteredClient = {
      ...{ login, clientId, id: scopedId(login, clientId), address: connection.address },
      takenOver: (done) => connection.closeHandled('taken-over', done),
      kick: () => connection.close('kicked'),
    };
    registry.register(registered, () => {
      if (!connection.closed) this.#open(wire, request, who, account, registered);
      else {
        registry.unregister(registered);
        account.connections.delete(connection);
        sessions.release(account);
      }
    });
  }

  /** Nobody else has the client id now: finds the session, and makes the client. */
  #open(wire: Wire, request: ConnectRequest, who: Accepted, account: UserAccount, registered: RegisteredClient): void {
    const connection = this.#connection;
    const { sessions, registry, store } = this.#context;
    const { login, clientId } = registered;
    const expiryMs = sessions.expiryOf(request.sessionExpirySeconds);
    const opened = sessions.open(account, clientId, { clean: request.clean, expiryMs, level: wire.level });
    if (opened === null) {
      registry.unregister(registered);
      account.connections.delete(connection);
      this.#turnAway(wire, 'quota', login, clientId, 'too-many-sessions', { limit: account.limits.sessionsPerUser });
      sessions.release(account);
      return;
    }
    const { session, present } = opened;
    session.holder = connection;
    if (present) this.#context.wills.resumed(session);
    const { will, sessionExpirySeconds: askedExpirySeconds } = request;
    // A client of version 5 is told of a shorter one, and may go on with its own all the same.
    const keepaliveMs = request.keepaliveSeconds * 1_500;
    const client = this.#context.admit({
      ...{ connection, registered, account, session, wire, will, keepaliveMs, askedExpirySeconds, proof: who.proof },
    });
    const { n, address, transport } = connection;
    const arrived = { n, login, clientId, address, transport, protocol: wire.version, clean: request.clean };
    tellArrival(this.#context, arrived, { present, stale: who.stale });
    const answer = () => {
      if (!connection.answer(wire.welcome(this.#welcome(wire, request, session, present)))) return;
      this.#observe('accepted');
      client.attach();
      registry.ready(registered);
      connection.answered();
    };
    if (session.writer === null && will === null) {
      answer();
      return;
    }
    // What CONNACK promises, a kept session or a Will, survives a crash from then on.
    store.committed((fault) => {
      if (connection.closed) return;
      if (fault === null) answer();
      else connection.close('store-fault');
    });
  }

  #welcome(wire: Wire, request: ConnectRequest, session: Session, sessionPresent: boolean): Welcome {
    const { limits, registry } = this.#context;
    const keptSeconds = Math.floor(session.expiryMs / 1_000);
    const mostSeconds = Math.floor(limits.maxKeepaliveMs / 1_000);
    const { keepaliveSeconds } = request;
    const isLonger = mostSeconds > 0 && (keepaliveSeconds === 0 || keepaliveSeconds > mostSeconds);
    return {
      sessionPresent,
      assignedClientId: request.clientId === '' ? session.clientId : null,
      sessionExpirySeconds: keptSeconds === request.sessionExpirySeconds ? null : keptSeconds,
      keepaliveSeconds: isLonger && wire.level === 5 ? mostSeconds : null,
      responseInformation: request.wantsResponseInformation ? registry.homeOf(session.login) : null,
    };
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
