import type { Clock } from '../clock.js';
import type { LimitsConfig } from '../config/config.js';
import { type Job, perform } from '../fairness/job.js';
import type { Scheduler } from '../fairness/scheduler.js';
import { type Grant, grantOf } from '../mqtt/grant.js';
import type { ProtocolLevel } from '../mqtt/packets.js';
import { filterKind } from '../mqtt/topics.js';
import type { Counters } from '../observe/counters.js';
import type { History } from '../observe/history.js';
import { limitHint } from '../observe/in-words.js';
import { countLimit } from '../observe/limits-reached.js';
import type { Log } from '../observe/log.js';
import type { RateLimited } from '../observe/rate-limited.js';
import type { Router } from '../routing/router.js';
import type { SessionWriter, Store, StoredSession } from '../store/contract.js';
import type { Accounts } from './accounts.js';
import { Deadlines } from './deadlines.js';
import { type Gate, scopedId } from './gate.js';
import { OutgoingQueue } from './outgoing-queue.js';
import { RetainedBatch } from './retained-batch.js';
import { Session, type SessionOptions } from './session.js';
import { subscriptionBytes, type UserAccount } from './user-account.js';

export interface SessionsOptions {
  readonly router: Router;
  readonly scheduler: Scheduler;
  readonly accounts: Accounts;
  readonly store: Pick<Store, 'session' | 'retained' | 'whenStored' | 'inMemory'>;
  readonly gate: Gate;
  readonly clock: Clock;
  readonly limits: LimitsConfig;
  readonly sessionExpiryMs: number;
  readonly log: Log;
  readonly noisyLog: RateLimited;
  readonly counters: Counters;
  readonly history: History;
  /** Nothing is left of a session. */
  onEnded(session: Session): void;
}

/** What a CONNECT says about its session. */
export interface SessionRequest {
  /** What was kept is discarded. */
  readonly clean: boolean;
  /** How long it is to outlive its connection. */
  readonly expiryMs: number;
  readonly level: ProtocolLevel;
}

/** What a session takes, without its subscriptions and messages. */
const SESSION_BYTES = 2_048;
/** Filters of an ending session that leave the router in one step. */
const FILTERS_PER_STEP = 16;

/** Client ids are in the session and in the maps. */
const sessionBytes = (clientId: string): number => SESSION_BYTES + 4 * clientId.length;

/** All sessions of the broker, those of absent clients included. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #byId = new Map<string, Session>();
  /** When sessions of absent clients end, as dates. */
  readonly #deadlines = new Deadlines<Session>();

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byId.size;
  }

  values(): Iterable<Session> {
    return this.#byId.values();
  }

  get(login: string, clientId: string): Session | undefined {
    return this.#byId.get(scopedId(login, clientId));
  }

  account(login: string): UserAccount {
    return this.#options.accounts.open(login);
  }

  /** Forgets the account of a user who has nothing left here. */
  release(account: UserAccount): void {
    this.#options.accounts.release(account);
  }

  /**
   * The session for a CONNECT: the kept one, or a new one. A clean session discards what was kept [MQTT-3.1.2-6].
   * Null when the user has as many persistent sessions as allowed.
   */
  open(account: UserAccount, clientId: string, asked: SessionRequest): { session: Session; present: boolean } | null {
    const { clean, expiryMs, level } = asked;
    const now = this.#options.clock.epochMs();
    const known = this.get(account.login, clientId);
    if (known !== undefined) {
      // One whose time is over and that nobody has looked for yet is no session any more.
      if (!clean && known.persistent && known.lastSeenAt + known.expiryMs > now) {
        known.level = level;
        known.expiryMs = expiryMs;
        this.#deadlines.delete(known);
        this.#save(known, true);
        return { session: known, present: true };
      }
      this.end(known);
    }
    const keeps = expiryMs > 0;
    const full = account.persistentSessions >= account.limits.sessionsPerUser || !account.hasRoom(SESSION_BYTES);
    if (keeps && full) return null;
    const writer = keeps ? this.#options.store.session(scopedId(account.login, clientId)) : null;
    const session = this.#create(account, clientId, writer, { level, createdAt: now, lastSeenAt: now, expiryMs });
    if (keeps) {
      account.persistentSessions++;
      this.#save(session, true);
    }
    return { session, present: false };
  }

  /** How long a session is kept that asks for `seconds`, in milliseconds. Null asks for as long as sessions are kept. */
  expiryOf(seconds: number | null): number {
    const { sessionExpiryMs } = this.#options;
    return seconds === null ? sessionExpiryMs : Math.min(seconds * 1_000, sessionExpiryMs);
  }

  /** The session's connection is gone: a persistent session is kept, any other ends. */
  leave(session: Session): void {
    session.holder = null;
    session.lastSeenAt = this.#options.clock.epochMs();
    if (!session.persistent || session.expiryMs === 0) {
      this.end(session);
      return;
    }
    session.outgoing.detach();
    this.#deadlines.set(session, session.lastSeenAt + session.expiryMs);
    this.#save(session, false);
  }

  /** Ends a session: nothing of it is left, in memory or in the store. Its filters leave the router in steps. */
  end(session: Session): void {
    const { account } = session;
    session.ended = true;
    this.#deadlines.delete(session);
    if (this.#byId.get(session.id) === session) this.#byId.delete(session.id);
    session.outgoing.clear();
    session.clearReceived();
    if (session.writer !== null) {
      account.persistentSessions--;
      session.writer.remove();
    }
    account.balances.sessions.add(-sessionBytes(session.clientId));
    this.#options.onEnded(session);
    perform(this.#unsubscribeAll(session), account, this.#options.scheduler);
  }

  *#unsubscribeAll(session: Session): Job {
    let done = 0;
    for (const filter of session.subscriptions.keys()) {
      this.unsubscribe(session, filter);
      if (++done % FILTERS_PER_STEP === 0) yield;
    }
    this.release(session.account);
  }

  /** Ends sessions whose client stays away for longer than they are kept. Returns how many. */
  expire(): number {
    const now = this.#options.clock.epochMs();
    let expired = 0;
    for (let due = this.#deadlines.takeDue(now); due !== undefined; due = this.#deadlines.takeDue(now)) {
      if (due.holder !== null) continue;
      this.#options.log.info({ login: due.login, client: due.clientId }, 'session expired');
      this.end(due);
      this.#options.counters.sessionsExpired++;
      expired++;
    }
    return expired;
  }

  /** Has messages leave that nobody may be sent any more. */
  expireMessages(): void {
    for (const { ended, outgoing, account } of this.#byId.values()) {
      if (!ended && outgoing.hasExpired) perform(outgoing.expire(), account, this.#options.scheduler);
    }
  }

  /**
   * Takes a session back from the store. Subscriptions that the access rules deny today are dropped, whatever was allowed
   * when they were stored; queued messages, which stay in the store for now, when they are due.
   */
  restore(stored: StoredSession): Session {
    const { session: record, subscriptions, requests, outgoing, incoming } = stored;
    const account = this.account(record.login);
    const clientId = record.clientId.slice(record.login.length + 1);
    const writer = this.#options.store.session(record.clientId);
    // Without a date of expiry its client was here when the broker ended without a word, and nobody knows for how long:
    // its absence begins now.
    const cutOff = record.expiresAt === null;
    const lastSeenAt = cutOff ? this.#options.clock.epochMs() : record.lastSeenAt;
    const { protocol: level, createdAt } = record;
    const expiryMs = Math.min(record.expiryMs ?? Number.POSITIVE_INFINITY, this.#options.sessionExpiryMs);
    const session = this.#create(account, clientId, writer, { level, createdAt, lastSeenAt, expiryMs });
    account.persistentSessions++;
    this.#deadlines.set(session, lastSeenAt + expiryMs);
    for (const { filter, qos, options, identifier } of subscriptions) {
      const allowed = this.#options.gate.maySubscribe(session, filter, qos);
      if (allowed) this.subscribe(session, filter, grantOf(qos, options), identifier);
      else writer.unsubscribe([filter]);
    }
    session.outgoing.restore(outgoing, record.sentSeq, RetainedBatch.restore(requests, account, writer));
    for (const packetId of incoming) session.addReceived(packetId);
    if (cutOff) this.#save(session, false);
    return session;
  }

  /** Adds or replaces a subscription, in the router and in the session; storing it is the caller's. */
  subscribe(session: Session, filter: string, granted: Grant, identifier: number | null): void {
    if (!session.subscriptions.has(filter)) {
      session.account.subscriptions++;
      session.account.balances.subscriptions.add(subscriptionBytes(filter));
      this.#options.counters.subscriptions.add(filterKind(filter));
    }
    session.subscriptions.set(filter, granted);
    this.#options.router.subscribe(session, filter, granted, identifier);
  }

  unsubscribe(session: Session, filter: string): boolean {
    if (!session.subscriptions.delete(filter)) return false;
    session.account.subscriptions--;
    session.account.balances.subscriptions.add(-subscriptionBytes(filter));
    this.#options.counters.subscriptions.add(filterKind(filter), -1);
    this.#options.router.unsubscribe(session, filter);
    return true;
  }

  #create(
    account: UserAccount,
    clientId: string,
    writer: SessionWriter | null,
    more: Pick<SessionOptions, 'level' | 'createdAt' | 'lastSeenAt' | 'expiryMs'>,
  ): Session {
    const { limits, clock, store, scheduler, gate, history, log, noisyLog, counters } = this.#options;
    const outgoing = new OutgoingQueue(
      {
        limits,
        clock,
        account,
        retained: store.retained,
        counters,
        scheduler,
        storedInMemory: store.inMemory,
        perform: (job) => perform(job, account, scheduler),
        mayReceive: (topic) => session.mayReceive(topic),
        whenStored: (callback) => store.whenStored(callback),
        onUnreadable(error) {
          log.error({ err: error, login: account.login, client: clientId }, 'queued messages cannot be read');
          session.holder?.close('store-fault');
        },
        onDropped(reason, topic) {
          counters.messagesDropped.add(reason);
          countLimit(counters, reason);
          session.drops++;
          session.lastDrop = history.denied(
            session,
            'deliver',
            topic,
            reason,
            () => limitHint(reason),
            session.lastDrop,
          );
          noisyLog
            .user(account.login)
            .line(`drop:${clientId}`, (suppressed) =>
              log.warn({ login: account.login, client: clientId, reason, dropped: suppressed + 1 }, 'messages dropped'),
            );
        },
      },
      writer,
    );
    const session = new Session({ account, clientId, gate, outgoing, writer, ...more });
    this.#byId.set(session.id, session);
    account.balances.sessions.add(sessionBytes(clientId));
    return session;
  }

  /** `connected`: its client is here from now on, so that only the next save can tell when it was last seen. */
  #save(session: Session, connected: boolean): void {
    session.writer?.save({
      clientId: session.id,
      login: session.login,
      protocol: session.level,
      createdAt: session.createdAt,
      lastSeenAt: session.lastSeenAt,
      expiresAt: connected ? null : session.lastSeenAt + session.expiryMs,
      expiryMs: session.expiryMs === this.#options.sessionExpiryMs ? null : session.expiryMs,
      // While its client is here, more is sent than any record could tell.
      sentSeq: connected ? null : session.outgoing.sentSeq,
    });
  }
}
