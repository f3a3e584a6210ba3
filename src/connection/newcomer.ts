import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.js';
import type { LimitsConfig } from '../config/config.js';
import type { Bans } from '../credentials/bans.js';
import { LARGEST_CONNECT_BYTES } from '../mqtt/packets.js';
import { scopedId } from '../session/gate.js';
import { whyNoMore } from '../session/limit-use.js';
import type { RuleChanges } from '../session/rule-changes.js';
import type { Session } from '../session/session.js';
import type { Sessions } from '../session/sessions.js';
import type { UserAccount } from '../session/user-account.js';
import { type WillMessage, type Wills, willBytes } from '../session/will.js';
import type { Store } from '../store/contract.js';
import { type ComingsContext, type RefusedMore, tellArrival } from './comings.js';
import type { ConnectRequest } from './connect-request.js';
import { CONNECTION_BYTES, type Connection } from './connection.js';
import type { WaitingPeer } from './peer.js';
import type { Identification, RegisteredClient, Registry } from './registry.js';
import type { Welcome, Wire } from './wire.js';

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

export interface NewcomerContext extends ComingsContext {
  readonly limits: LimitsConfig;
  readonly clock: Clock;
  readonly sessions: Sessions;
  readonly ruleChanges: Pick<RuleChanges, 'setGroups'>;
  readonly store: Pick<Store, 'fault' | 'committed'>;
  readonly registry: Registry;
  readonly wills: Pick<Wills, 'resumed'>;
  /** Whom operators keep out for a while. */
  readonly bans: Pick<Bans, 'of' | 'keepsOut'>;
  /** Makes the client that frames go to from here on. */
  admit(arrival: Arrival): { attach(): void };
}

/** A CONNECT whose credentials are right. */
interface Knock {
  readonly connection: Connection;
  readonly wire: Wire;
  readonly request: ConnectRequest;
  readonly who: Identification & { readonly kind: 'accepted' };
  /** CONNACK has left. */
  accepted(): void;
  /** Refuses it, and closes the connection. */
  turnAway(reason: string, more?: RefusedMore): void;
}

/**
 * A connection's peer from the moment that its user is known until CONNACK. It may have to wait for an older connection
 * with the same client id, and is one of its user's connections meanwhile: counted, paid for, shown and ended with them.
 */
export class Newcomer implements WaitingPeer {
  readonly account: UserAccount;
  readonly largestFrame = LARGEST_CONNECT_BYTES;
  readonly login: string;
  readonly clientId: string;
  readonly proof: unknown;
  readonly #context: NewcomerContext;
  readonly #knock: Knock;
  readonly #registered: RegisteredClient;

  constructor(context: NewcomerContext, knock: Knock) {
    const { connection, request, who } = knock;
    const { login, proof } = who;
    this.#context = context;
    this.#knock = knock;
    this.account = context.sessions.account(login);
    this.login = login;
    this.clientId = request.clientId === '' ? `auto-${randomUUID()}` : request.clientId; // [MQTT-3.1.3-6]
    this.proof = proof;
    this.#registered = {
      ...{ login, clientId: this.clientId, id: scopedId(login, this.clientId), address: connection.address },
      takenOver: (done) => connection.closeHandled('taken-over', done),
      kick: () => connection.close('kicked'),
    };
  }

  /** Lets it in, or turns it away. */
  comeIn(): void {
    const { sessions, registry, ruleChanges } = this.#context;
    const { account } = this;
    const { connection, who, turnAway } = this.#knock;
    // First of all: limits and rules may turn on them.
    ruleChanges.setGroups(account, who.groups);
    const refusal = this.#whyNot();
    if (refusal !== null) {
      turnAway(refusal.reason, refusal.more);
      sessions.release(account);
      return;
    }
    // Before an older connection leaves: an account without any would be forgotten, and its limits with it.
    connection.identified(this);
    who.onAdmitted?.(connection);
    let isIn = false;
    registry.register(this.#registered, () => {
      isIn = true;
      this.#open();
    });
    if (!isIn) connection.waits(this);
  }

  /** The one that it takes the place of is not counted, nor the one that waits for the same: that is closed. */
  #whyNot(): { readonly reason: string; readonly more: RefusedMore } | null {
    const { sessions, registry, clock } = this.#context;
    const { account, login, clientId } = this;
    const { will } = this.#knock.request;
    const takesOver = sessions.get(login, clientId)?.holder != null;
    const leaving = (takesOver ? 1 : 0) + (registry.awaits(this.#registered.id) ? 1 : 0);
    if (account.connections.size - leaving >= account.limits.connectionsPerUser) {
      return whyNoMore(account, clock.epochMs());
    }
    if (account.hasRoom(CONNECTION_BYTES + (will === null ? 0 : willBytes(will)))) return null;
    return { reason: 'memory-limit', more: { held: account.heldBytes } };
  }

  /** What comes behind CONNECT waits for CONNACK. */
  handle(): number {
    throw new Error('a frame was handled before CONNACK');
  }

  tooLate(): void {
    this.#knock.turnAway('older-connection-waits');
  }

  gone(): void {
    this.#context.registry.unregister(this.#registered);
  }

  settled(): void {
    this.#context.sessions.release(this.account);
  }

  /** Nobody else has the client id now: finds the session, and makes the client. */
  #open(): void {
    const { sessions, registry, store, bans } = this.#context;
    const { connection, wire, request, who, turnAway } = this.#knock;
    const { account, login, clientId } = this;
    const registered = this.#registered;
    // It may have waited. Whoever is no longer entitled was ended meanwhile, as all connections of the login.
    if (bans.keepsOut(login) || bans.of('address', connection.address) !== null) {
      turnAway('banned');
      return;
    }
    const expiryMs = sessions.expiryOf(request.sessionExpirySeconds);
    const opened = sessions.open(account, clientId, { clean: request.clean, expiryMs, level: wire.level });
    if (opened === null) {
      turnAway('too-many-sessions', { limit: account.limits.sessionsPerUser });
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
      if (!connection.answer(wire.welcome(this.#welcome(session, present)))) return;
      this.#knock.accepted();
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

  #welcome(session: Session, sessionPresent: boolean): Welcome {
    const { limits, registry } = this.#context;
    const { wire, request } = this.#knock;
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
}
