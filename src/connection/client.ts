import type { LimitsConfig } from '../config/config.js';
import type { Scheduler, Task } from '../fairness/scheduler.js';
import {
  AUTH,
  CONNECT,
  DISCONNECT,
  PINGREQ,
  PINGRESP,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  SUBSCRIBE,
  UNSUBSCRIBE,
} from '../mqtt/packets.js';
import { Reason } from '../mqtt/reason-codes.js';
import type { CloseReason } from '../session/close-reason.js';
import type { Acknowledged } from '../session/inflight-window.js';
import type { Session } from '../session/session.js';
import type { UserAccount } from '../session/user-account.js';
import type { WillMessage, Wills } from '../session/will.js';
import { ClientOutlet } from './client-outlet.js';
import type { Connection } from './connection.js';
import { inTurn } from './long-request.js';
import type { Arrival } from './newcomer.js';
import type { ConnectedClient } from './peer.js';
import { ProtocolError } from './protocol-error.js';
import { type PublishContext, PublishFlow } from './publish-flow.js';
import type { RegisteredClient, Registry } from './registry.js';
import { type SubscribeContext, subscribe, unsubscribe } from './subscribe.js';
import type { Farewell, Wire } from './wire.js';

/** The largest packet that is no PUBLISH: ten thousand filters of a hundred bytes. */
const LARGEST_CONTROL_BYTES = 1024 * 1024;

const pingresp = Buffer.from([PINGRESP << 4, 0]);

export interface ClientContext extends PublishContext, SubscribeContext {
  readonly registry: Registry;
  readonly wills: Wills;
  readonly scheduler: Scheduler;
  readonly limits: LimitsConfig;
}

/**
 * A client that was let in: what its packets mean. A PUBLISH goes to its PublishFlow, acknowledgements to the session's
 * outgoing queue. What has to happen when it is gone (registry, session, Will, account) is in `gone`.
 */
export class Client implements ConnectedClient, Task {
  readonly connection: Connection;
  readonly registered: RegisteredClient;
  readonly session: Session;
  readonly wire: Wire;
  readonly keepaliveMs: number;
  readonly proof: unknown;
  readonly account: UserAccount;

  readonly #context: ClientContext;
  readonly #publishFlow: PublishFlow;
  /** Packets, by type. */
  readonly #received: number[];
  readonly #will: WillMessage | null;
  /** What CONNECT said about the session's expiry. */
  readonly #askedExpirySeconds: number | null;
  /** It is in the user's line, to be sent what is queued. */
  #lined = false;

  constructor(context: ClientContext, arrival: Arrival) {
    this.#context = context;
    this.connection = arrival.connection;
    this.registered = arrival.registered;
    this.session = arrival.session;
    this.wire = arrival.wire;
    this.keepaliveMs = arrival.keepaliveMs;
    this.proof = arrival.proof;
    this.account = arrival.account;
    this.#will = arrival.will;
    this.#askedExpirySeconds = arrival.askedExpirySeconds;
    this.#publishFlow = new PublishFlow(context, arrival);
    this.#received = context.counters.packetsReceived;
    this.wire.balance = this.account.balances.aliases;
    if (this.#will !== null) context.wills.keep(this.session, this.#will);
    this.connection.accepted(this);
  }

  get login(): string {
    return this.session.login;
  }

  get clientId(): string {
    return this.session.clientId;
  }

  get largestFrame(): number {
    return this.#context.limits.packetBytes;
  }

  /** CONNACK is written: the session's messages may follow. */
  attach(): void {
    const { outbox, traffic } = this.connection;
    const outlet = new ClientOutlet(outbox, this.wire, traffic, this.#context.counters, this.account);
    this.session.outgoing.attach(outlet);
  }

  handle(chunk: Buffer, start: number, bodyStart: number, end: number): number {
    const head = chunk[start]!;
    this.#received[head >> 4]!++;
    // A length that could be written shorter. Before MQTT 5 nothing forbids it.
    if (bodyStart - start > 2 && chunk[bodyStart - 1] === 0 && this.wire.level === 5) {
      throw new ProtocolError('MQTT-1.5.5-1', 'a length field that is longer than needed', Reason.MALFORMED_PACKET);
    }
    if (head >> 4 === PUBLISH) {
      const { incoming } = this.account;
      if (incoming !== null && !this.connection.reader.toll.passes(incoming, end - start)) {
        this.#received[PUBLISH]!--;
        this.connection.reader.putBack(end - start);
        return 1;
      }
      return this.#publishFlow.publish(chunk, start, bodyStart, end);
    }
    if (head >> 4 === PUBACK) return this.#acknowledged(PUBACK, chunk, start, bodyStart, end);
    return this.#control(head >> 4, chunk, start, bodyStart, end);
  }

  #control(type: number, chunk: Buffer, start: number, bodyStart: number, end: number): number {
    const { connection, wire } = this;
    if (end - start > LARGEST_CONTROL_BYTES) {
      throw new ProtocolError('too-large', `a packet of ${end - start} bytes that is no PUBLISH`);
    }
    switch (type) {
      case PINGREQ:
        wire.checkEmpty(chunk, start, bodyStart, end);
        connection.outbox.packet(pingresp);
        return 1;
      case PUBREC:
      case PUBCOMP:
        return this.#acknowledged(type, chunk, start, bodyStart, end);
      case PUBREL:
        this.#publishFlow.pubrel(wire.readAcknowledgement(chunk, start, bodyStart, end).packetId);
        return 1;
      case SUBSCRIBE: {
        const { subscriptionsPerSession: most } = this.#context.limits;
        const reading = wire.readSubscribe(chunk, start, bodyStart, end, most);
        connection.reader.perform(inTurn(subscribe(this.#context, this, reading), this.account, end - start));
        return 1;
      }
      case UNSUBSCRIBE: {
        const { subscriptionsPerSession: most } = this.#context.limits;
        const reading = wire.readUnsubscribe(chunk, start, bodyStart, end, most);
        connection.reader.perform(inTurn(unsubscribe(this.#context, this, reading), this.account, end - start));
        return 1;
      }
      case DISCONNECT: // [MQTT-3.14.1-1]
        this.#leave(wire.readDisconnect(chunk, start, bodyStart, end));
        return 1;
      case CONNECT:
        throw new ProtocolError('MQTT-3.1.0-2', 'a second CONNECT');
      case AUTH:
        if ((chunk[start]! & 15) !== 0) {
          throw new ProtocolError('MQTT-3.15.1-1', 'reserved bits of AUTH', Reason.MALFORMED_PACKET);
        }
        throw new ProtocolError('MQTT-4.12.0-6', 'AUTH, where no enhanced authentication was agreed on');
      default: {
        // What only brokers send comes unexpected; reserved bits, and type 0, are of no packet at all.
        const isPacket = type !== 0 && (chunk[start]! & 15) === 0;
        const reason = isPacket ? Reason.PROTOCOL_ERROR : Reason.MALFORMED_PACKET;
        throw new ProtocolError('MQTT-4.8.0-1', `a packet of type ${type}, which clients do not send`, reason);
      }
    }
  }

  /** PUBACK, PUBREC or PUBCOMP of a message that was sent to the client. */
  #acknowledged(type: number, chunk: Buffer, start: number, bodyStart: number, end: number): number {
    const { outgoing } = this.session;
    const { packetId, failed } = this.wire.readAcknowledgement(chunk, start, bodyStart, end);
    let met: Acknowledged;
    if (type === PUBACK) met = outgoing.puback(packetId);
    else if (type === PUBREC) met = failed ? outgoing.refused(packetId) : outgoing.pubrec(packetId);
    else met = outgoing.pubcomp(packetId);
    if (met !== 'wrong-kind') return 1;
    // Its place in the window would never be free again.
    const name = type === PUBACK ? 'PUBACK' : type === PUBREC ? 'PUBREC' : 'PUBCOMP';
    throw new ProtocolError('MQTT-4.8.0-1', `a ${name} where packet id ${packetId} expects another acknowledgement`);
  }

  /** The client's DISCONNECT. It may change how long its session is kept, but not begin to have it kept (3.14.2.2.2). */
  #leave({ publishesWill, sessionExpirySeconds }: Farewell): void {
    if (sessionExpirySeconds !== null) {
      if (this.#askedExpirySeconds === 0 && sessionExpirySeconds !== 0) {
        throw new ProtocolError('MQTT-3.14.2.2.2', 'a Session Expiry Interval in DISCONNECT where CONNECT had none');
      }
      const { sessions } = this.#context;
      this.session.expiryMs = sessions.expiryOf(sessionExpirySeconds);
    }
    this.connection.close(publishesWill ? 'disconnect-with-will' : 'disconnect');
  }

  /** What the client is told before the broker closes. */
  goodbye(reason: CloseReason, error: ProtocolError | null): Buffer | null {
    return this.wire.goodbye(reason, error?.reason ?? null, error?.message ?? null);
  }

  /** The socket has room: sends what is queued, when it is the user's turn. */
  pump(): void {
    if (this.#lined || this.connection.closed) return;
    const { outgoing } = this.session;
    const { scheduler } = this.#context;
    // With nothing queued that is no work: whoever waits for the client is told that it has caught up.
    if (!outgoing.empty && !scheduler.mayWork(this.account)) {
      this.#lined = true;
      scheduler.add(this.account, this);
      return;
    }
    scheduler.begin();
    outgoing.pump();
    scheduler.end(this.account);
  }

  /** The user's turn has come. */
  work(): boolean {
    this.#lined = false;
    if (!this.connection.closed) this.session.outgoing.pump();
    return false;
  }

  gone(reason: CloseReason): void {
    const { registry, sessions, wills } = this.#context;
    registry.unregister(this.registered);
    this.wire.balance = null;
    const { session } = this;
    if (session.holder === this.connection) sessions.leave(session);
    if (this.#will === null) return;
    // [MQTT-3.14.4-3]; and nothing is said any more in the name of who is forgotten.
    if (reason === 'disconnect' || reason === 'forgotten') wills.discard(session, this.#will);
    else wills.left(session, this.#will, session.ended ? 0 : session.expiryMs);
  }

  settled(): void {
    this.#context.sessions.release(this.account);
  }
}
