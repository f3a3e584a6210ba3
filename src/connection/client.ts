import type { LimitsConfig } from '../config/config.js';
import type { Scheduler, Task } from '../fairness/scheduler.js';
import {
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
import type { CloseReason } from '../session/close-reason.js';
import type { Acknowledged } from '../session/inflight-window.js';
import type { Session } from '../session/session.js';
import type { UserAccount } from '../session/user-account.js';
import type { WillMessage, Wills } from '../session/will.js';
import { ClientOutlet } from './client-outlet.js';
import type { ConnectedClient, Connection } from './connection.js';
import { ProtocolError } from './protocol-error.js';
import { type PublishContext, PublishFlow } from './publish-flow.js';
import type { RegisteredClient, Registry } from './registry.js';
import type { Arrival } from './stranger.js';
import { type SubscribeContext, subscribe, unsubscribe } from './subscribe.js';
import type { Wire } from './wire.js';

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
  readonly #will: WillMessage | null;
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
    this.#publishFlow = new PublishFlow(context, arrival);
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
    this.session.outgoing.attach(new ClientOutlet(this.connection.outbox, this.wire, this.connection.traffic));
  }

  handle(chunk: Buffer, start: number, bodyStart: number, end: number): number {
    const head = chunk[start]!;
    if (head >> 4 === PUBLISH) return this.#publishFlow.publish(chunk, start, bodyStart, end);
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
        this.#publishFlow.pubrel(wire.readAcknowledgement(chunk, start, bodyStart, end));
        return 1;
      case SUBSCRIBE: {
        const { subscriptionsPerSession: most } = this.#context.limits;
        const reading = wire.readSubscribe(chunk, start, bodyStart, end, most);
        connection.reader.perform(subscribe(this.#context, this, reading));
        return 1;
      }
      case UNSUBSCRIBE: {
        const { subscriptionsPerSession: most } = this.#context.limits;
        const reading = wire.readUnsubscribe(chunk, start, bodyStart, end, most);
        connection.reader.perform(unsubscribe(this.#context, this, reading));
        return 1;
      }
      case DISCONNECT: // [MQTT-3.14.1-1]
        wire.checkEmpty(chunk, start, bodyStart, end);
        connection.close('disconnect');
        return 1;
      case CONNECT:
        throw new ProtocolError('MQTT-3.1.0-2', 'a second CONNECT');
      default:
        throw new ProtocolError('MQTT-2.2.2-2', `a packet of type ${type}, which clients do not send`);
    }
  }

  /** PUBACK, PUBREC or PUBCOMP of a message that was sent to the client. */
  #acknowledged(type: number, chunk: Buffer, start: number, bodyStart: number, end: number): number {
    const { outgoing } = this.session;
    const packetId = this.wire.readAcknowledgement(chunk, start, bodyStart, end);
    let met: Acknowledged;
    if (type === PUBACK) met = outgoing.puback(packetId);
    else if (type === PUBREC) met = outgoing.pubrec(packetId);
    else met = outgoing.pubcomp(packetId);
    if (met !== 'wrong-kind') return 1;
    // Its place in the window would never be free again.
    const name = type === PUBACK ? 'PUBACK' : type === PUBREC ? 'PUBREC' : 'PUBCOMP';
    throw new ProtocolError('MQTT-4.8.0-1', `a ${name} where packet id ${packetId} expects another acknowledgement`);
  }

  /** Sends what is queued, when it is the user's turn. */
  pump(): void {
    if (this.#lined || this.connection.closed || this.session.outgoing.empty) return;
    const { scheduler } = this.#context;
    if (!scheduler.mayWork(this.account)) {
      this.#lined = true;
      scheduler.add(this.account, this);
      return;
    }
    scheduler.begin();
    this.session.outgoing.pump();
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
    this.account.connections.delete(this.connection);
    registry.unregister(this.registered);
    if (this.session.holder === this.connection) sessions.leave(this.session);
    if (this.#will !== null) {
      if (reason === 'disconnect')
        wills.discard(this.session, this.#will); // [MQTT-3.14.4-3]
      else wills.fire(this.session, this.#will);
    }
  }

  settled(): void {
    this.#context.sessions.release(this.account);
  }
}
