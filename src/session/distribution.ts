import type { Clock } from '../clock.js';
import { type Job, perform, whenThere } from '../fairness/job.js';
import type { Scheduler } from '../fairness/scheduler.js';
import type { Publication } from '../mqtt/publication.js';
import type { SafetyTicket } from '../mqtt/safety-ticket.js';
import type { Route, Router, RouteSearch } from '../routing/router.js';
import type { RetainedMessage, Store } from '../store/contract.js';
import { Valve } from '../valve.js';
import { Deadlines } from './deadlines.js';
import type { RetainedQuota } from './retained-quota.js';
import type { UserAccount } from './user-account.js';

/** What is distributed at once: the most receivers, and the most bytes for all of them together. */
const TARGETS_AT_ONCE = 64;
const BYTES_AT_ONCE = 256 * 1024;
/** The same in one step of a distribution that takes longer. */
const TARGETS_PER_STEP = 16;
const BYTES_PER_STEP = 64 * 1024;
/** Nodes of the subscription tree that are looked at in one step. */
export const NODES_PER_STEP = 1_024;
/**
 * With so much of its user's waiting for sockets, a distribution waits until the sockets have taken some of it, looking
 * again and again; but not for ever, since a reader may be stuck. Then what does not fit is dropped.
 */
const UNSENT_BYTES = 16 * 1024 * 1024;
const UNSENT_LOOK_MS = 10;
const UNSENT_TIMEOUT_MS = 1_000;

/** Sees every message that is distributed, when everything that was to be done with it is done. */
export type PublicationListener = (publication: Publication) => void;

export interface DistributionOptions {
  readonly router: Router;
  readonly store: Pick<
    Store,
    'retained' | 'committed' | 'onRecovered' | 'longBytes' | 'prepareContent' | 'discardContent'
  >;
  readonly quota: RetainedQuota;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
}

/** From a publication to everyone who gets it and to the store that keeps it. */
export class Distribution {
  readonly #options: DistributionOptions;
  #listeners: PublicationListener[] = [];
  /** Tickets of messages that the store could not keep yet. */
  readonly #unsafe: SafetyTicket[] = [];
  /** Retained messages that are written and not kept yet. */
  readonly #prepared = new WeakMap<Publication, RetainedMessage>();
  /** When retained messages expire, by their topics, as dates. */
  readonly #expiries = new Deadlines<string>();

  constructor(options: DistributionOptions) {
    this.#options = options;
    options.store.onRecovered(() => {
      for (const ticket of this.#unsafe.splice(0)) this.commit(ticket);
    });
  }

  /** Counts the retained messages that the store has kept. */
  restoreRetained(): void {
    const { store, quota } = this.#options;
    for (const message of store.retained) {
      quota.added(message);
      this.#noteExpiry(message);
    }
  }

  onPublication(listener: PublicationListener): void {
    this.#listeners.push(listener);
  }

  offPublication(listener: PublicationListener): void {
    this.#listeners = this.#listeners.filter((other) => other !== listener);
  }

  /**
   * Everything is done when this returns null, but for the disk. A message for many, or a large one for several, is a job
   * of the publisher's instead: whoever has more messages of the same publisher gives them when that is done.
   */
  publish(publication: Publication, account: UserAccount, route: Route): Job | null {
    if (publication.retain) this.#retain(publication, account);
    const { targets } = route;
    if (targets > TARGETS_AT_ONCE || (targets > 1 && targets * publication.messageBytes > BYTES_AT_ONCE)) {
      return this.#publishInSteps(publication, account, route);
    }
    for (let i = 0; i < targets; i++) route.deliverTo(i, publication);
    this.#tell(publication);
    return null;
  }

  /**
   * What is long is written apart first, so that others don't wait for it: whoever has such a message does this job
   * before `publish`, and hands over no other of the user's meanwhile. Null: it is short, or known to be written.
   */
  prepare(publication: Publication, account: UserAccount, route: Route): Job | null {
    const { retain, qos, prepared, messageBytes } = publication;
    if (messageBytes <= this.#options.store.longBytes || prepared) return null;
    const queued = qos > 0 && route.keeps;
    return retain || queued ? this.#prepare(publication, account, queued) : null;
  }

  *#prepare(publication: Publication, account: UserAccount, queued: boolean): Job {
    const { store, quota } = this.#options;
    publication.prepared = true;
    const bytes = account.storing.add(publication.messageBytes, 0);
    try {
      if (publication.retain && publication.payloadBytes > 0) {
        const kept = this.#keptOf(publication, account);
        const before = store.retained.get(kept.topic);
        if (quota.admits(kept.topic, contentBytesOf(kept), before, account)) {
          this.#prepared.set(publication, yield* whenThere(store.retained.prepare(kept)));
        }
      }
      const message = publication.message();
      if (queued) yield* whenThere(store.prepareContent(message, message));
    } finally {
      account.storing.done(bytes);
    }
  }

  /**
   * The same from the search for the route to the disk, for what did not come from a connection. Resolves when a client
   * would have its acknowledgement: false when the message could not be stored.
   */
  post(publication: Publication, account: UserAccount): Promise<boolean> {
    return new Promise((resolve) => {
      perform(this.posting(publication, account, resolve), account, this.#options.scheduler);
    });
  }

  *posting(publication: Publication, account: UserAccount, done: (stored: boolean) => void = () => {}): Job {
    const { storing } = account;
    while (storing.valve.closed) yield storing.valve;
    const route = yield* findRoute(this.#options.router.search(publication.topic));
    const preparing = this.prepare(publication, account, route);
    if (preparing !== null) yield* preparing;
    const job = this.publish(publication, account, route);
    if (job !== null) yield* job;
    const { ticket } = publication;
    if (ticket === null) {
      done(true);
      return;
    }
    ticket.whenSafe((failed) => done(!failed));
    storing.charge(publication.messageBytes, ticket);
    this.commit(ticket);
  }

  /** Settles the ticket once everything handed to the store so far is on disk. */
  commit(ticket: SafetyTicket): void {
    this.#options.store.committed((fault) => {
      if (fault === null) {
        ticket.committed();
        return;
      }
      // The publisher hears nothing; receivers that wait for the store get it once the store has it after all.
      ticket.failed();
      this.#unsafe.push(ticket);
    });
  }

  *#publishInSteps(publication: Publication, account: UserAccount, route: Route): Job {
    const { messageBytes } = publication;
    const perStep = Math.max(1, Math.min(TARGETS_PER_STEP, Math.floor(BYTES_PER_STEP / messageBytes)));
    // What must not be on the disk without each other is handed over together: see the store's contract.
    const together = publication.safeFirst ? route.persistent.length : 0;
    account.balances.jobs.add(messageBytes);
    try {
      for (let i = 0; i < route.targets; i++) {
        if (i >= together && i % perStep === 0) {
          yield;
          if (account.balances.outbox.bytes > UNSENT_BYTES) yield* this.#waitForSockets(account);
        }
        route.deliverTo(i, publication);
      }
    } finally {
      account.balances.jobs.add(-messageBytes);
    }
    this.#tell(publication);
  }

  *#waitForSockets({ balances: { outbox } }: UserAccount): Job {
    const { clock } = this.#options;
    for (let waitedMs = 0; outbox.bytes > UNSENT_BYTES && waitedMs < UNSENT_TIMEOUT_MS; waitedMs += UNSENT_LOOK_MS) {
      const valve = new Valve();
      valve.close();
      clock.after(UNSENT_LOOK_MS, () => valve.open());
      yield valve;
    }
  }

  /** Would a message with so many bytes behind its topic be kept as retained? */
  mayRetain(topic: string, bytes: number, account: UserAccount): boolean {
    const { quota, store } = this.#options;
    return quota.admits(topic, bytes, store.retained.get(topic), account);
  }

  /** Deletes retained messages whose time is over. */
  expireRetained(): void {
    const { store, clock, quota } = this.#options;
    const now = clock.epochMs();
    for (let topic = this.#expiries.takeDue(now); topic !== undefined; topic = this.#expiries.takeDue(now)) {
      const deleted = store.retained.delete(topic);
      if (deleted !== undefined) quota.removed(deleted);
    }
  }

  /** Deletes a retained message, without telling anybody. False: there was none. */
  forgetRetained(topic: string): boolean {
    const { store, quota } = this.#options;
    const before = store.retained.delete(topic);
    if (before === undefined) return false;
    quota.removed(before);
    this.#expiries.delete(topic);
    return true;
  }

  #noteExpiry({ topic, expiresAt }: RetainedMessage): void {
    if (expiresAt === null) this.#expiries.delete(topic);
    else this.#expiries.set(topic, expiresAt);
  }

  #tell(publication: Publication): void {
    // Nobody's queue had room for it.
    if (publication.prepared) this.#options.store.discardContent(publication.message());
    const listeners = this.#listeners;
    for (let i = 0; i < listeners.length; i++) listeners[i]!(publication);
  }

  #keptOf(publication: Publication, { login: owner }: UserAccount): RetainedMessage {
    const { topic, qos } = publication;
    const { payload, properties, expiresAt } = publication.message();
    return { topic, payload, qos, properties, expiresAt, storedAt: this.#options.clock.epochMs(), owner };
  }

  /** An empty payload deletes [MQTT-3.3.1-10]; otherwise the message replaces the one before [MQTT-3.3.1-5]. */
  #retain(publication: Publication, account: UserAccount): void {
    const { quota } = this.#options;
    const { retained } = this.#options.store;
    const { topic } = publication;
    if (publication.payloadBytes === 0) {
      if (!this.forgetRetained(topic)) return;
    } else {
      const prepared = publication.prepared ? this.#prepared.get(publication) : undefined;
      // One for which there was no room as it was to be prepared has been told so.
      if (publication.prepared && !this.#prepared.delete(publication)) return;
      const kept = prepared ?? this.#keptOf(publication, account);
      if (!quota.admits(topic, contentBytesOf(kept), retained.get(topic), account)) {
        retained.discard(kept);
        return;
      }
      const before = retained.set(kept);
      if (before !== undefined) quota.removed(before);
      quota.added(kept);
      this.#noteExpiry(kept);
    }
    publication.needsStore().add();
  }
}

const contentBytesOf = ({ payload, properties }: RetainedMessage): number => payload.length + (properties?.length ?? 0);

/** Where a topic goes, found in steps. */
export function* findRoute(search: RouteSearch): Generator<undefined, Route, void> {
  for (;;) {
    const route = search.proceed(NODES_PER_STEP);
    if (route !== null) return route;
    yield;
  }
}
