import { denialText } from '../acl/hint.js';
import type { Clock } from '../clock.js';
import { type Job, perform } from '../fairness/job.js';
import { PublishToll } from '../fairness/publish-toll.js';
import type { Scheduler } from '../fairness/scheduler.js';
import type { Qos } from '../mqtt/packets.js';
import { Property, PropertyReader } from '../mqtt/properties.js';
import { Publication } from '../mqtt/publication.js';
import type { Counters } from '../observe/counters.js';
import type { History } from '../observe/history.js';
import { limitHint } from '../observe/in-words.js';
import { countLimit } from '../observe/limits-reached.js';
import type { Log } from '../observe/log.js';
import type { RateLimited } from '../observe/rate-limited.js';
import type { Store } from '../store/contract.js';
import type { Valve } from '../valve.js';
import { Deadlines } from './deadlines.js';
import type { Distribution } from './distribution.js';
import { type ClientIdentity, type Gate, scopedId } from './gate.js';
import type { UserAccount } from './user-account.js';

/** A Will as CONNECT has it. */
export interface WillMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly retain: boolean;
  /** Seconds between the end of the connection and the publication, unless the client comes back; 0 before MQTT 5. */
  readonly delaySeconds: number;
  /** How long the message lives once it is published, in seconds; null: for ever. */
  readonly expirySeconds: number | null;
  /** The other properties of MQTT 5, as they are on the wire; null: none. */
  readonly properties: Buffer | null;
}

export interface WillsOptions {
  readonly store: Pick<Store, 'putWill' | 'deleteWill' | 'loadWills'>;
  readonly distribution: Distribution;
  readonly gate: Gate;
  readonly scheduler: Scheduler;
  readonly clock: Clock;
  readonly account: (login: string) => UserAccount;
  readonly counters: Counters;
  readonly history: History;
  readonly log: Log;
  readonly noisyLog: RateLimited;
}

/** A Will whose connection is gone and whose delay is not over. */
interface Delayed {
  readonly client: ClientIdentity;
  readonly will: WillMessage;
}

/**
 * The Wills of connected clients, and those whose delay runs. Each is in the store for as long, so that it can be
 * published when the broker is started again after a crash; it leaves the store in the group that its message enters it.
 */
export class Wills {
  readonly #options: WillsOptions;
  /** Whose row in the store it is, by the client's id. */
  readonly #stored = new Map<string, WillMessage>();
  readonly #delayed = new Map<string, Delayed>();
  /** Those that are due and wait for the rate of their user. */
  readonly #slowed = new Map<WillMessage, { readonly login: string; readonly toll: PublishToll }>();
  /** When they are due, by the monotonic clock: a step of the other one must not fire them. */
  readonly #deadlines = new Deadlines<string>();

  constructor(options: WillsOptions) {
    this.#options = options;
  }

  /** Whether there is room for it, `willBytes` tells before. */
  keep(client: ClientIdentity, will: WillMessage): void {
    const { id, login } = client;
    this.#options.account(login).balances.wills.add(willBytes(will));
    this.#stored.set(id, will);
    this.#put(client, will, null);
  }

  /** The client said goodbye: the Will is not published [MQTT-3.1.2-10]. */
  discard(client: ClientIdentity, will: WillMessage): void {
    this.#forget(client, will, this.#options.account(client.login));
  }

  /**
   * The connection ended any other way: the Will is published [MQTT-3.1.2-8], now or after its delay, but not later than
   * its session ends (3.1.3.2.2), which is in `sessionExpiryMs`.
   */
  left(client: ClientIdentity, will: WillMessage, sessionExpiryMs: number): void {
    const delayMs = Math.min(will.delaySeconds * 1_000, sessionExpiryMs);
    if (delayMs === 0) {
      this.fire(client, will);
      return;
    }
    this.#put(client, will, this.#options.clock.epochMs() + delayMs);
    this.#delay(client, will, delayMs);
  }

  /** The client is back before the delay was over, and its session goes on: the Will is not published [MQTT-3.1.3-9]. */
  resumed(client: ClientIdentity): void {
    const delayed = this.#takeDelayed(client.id);
    if (delayed !== null) this.discard(delayed.client, delayed.will);
  }

  /** The session has ended: a Will that still waits is due. */
  ended({ id }: ClientIdentity): void {
    const delayed = this.#takeDelayed(id);
    if (delayed !== null) this.fire(delayed.client, delayed.will);
  }

  /** Those of a user that are kept, whether the client is here or not. */
  of(login: string): number {
    const prefix = scopedId(login, '');
    let count = 0;
    for (const id of this.#stored.keys()) if (id.startsWith(prefix)) count++;
    return count;
  }

  /** Those of a user whose delay runs, or who wait for the rate, are not published any more. */
  dropDelayed(login: string): void {
    for (const { client, will } of [...this.#delayed.values()]) {
      if (client.login !== login) continue;
      this.#takeDelayed(client.id);
      this.discard(client, will);
    }
    for (const [will, { login: owner, toll }] of this.#slowed) {
      if (owner !== login) continue;
      this.#slowed.delete(will);
      toll.quit();
      toll.open();
    }
  }

  /** Publishes those whose delay is over. Called about once a second. */
  tick(): void {
    const now = this.#options.clock.monotonicMs();
    for (let id = this.#deadlines.takeDue(now); id !== undefined; id = this.#deadlines.takeDue(now)) {
      const { client, will } = this.#delayed.get(id)!;
      this.#delayed.delete(id);
      this.fire(client, will);
    }
  }

  /**
   * Publishes a Will when it is the user's turn, and his rate allows it: to be cut off again and again is no way around
   * that. Until then it is in the store, unless the same client has put another one there.
   */
  fire(client: ClientIdentity, will: WillMessage): void {
    const { scheduler } = this.#options;
    const account = this.#options.account(client.login);
    perform(this.#publish(client, will, account), account, scheduler);
  }

  /**
   * Those of a broker that did not stop in order: published at once, not minutes later, but for those whose delay is not
   * over. `sessionExpiryMs` tells how long a client's session still has; 0: there is none.
   */
  async fireLeft(sessionExpiryMs: (login: string, clientId: string) => number): Promise<void> {
    const { clock, store } = this.#options;
    for await (const stored of store.loadWills()) {
      const { clientId: id, login, dueAt } = stored;
      const client = { id, login, clientId: id.slice(login.length + 1) };
      this.#options.account(login).balances.wills.add(willBytes(stored));
      this.#stored.set(id, stored);
      const leftMs = sessionExpiryMs(login, client.clientId);
      if (dueAt === null) this.left(client, stored, leftMs);
      else if (dueAt <= clock.epochMs() || leftMs === 0) this.fire(client, stored);
      else this.#delay(client, stored, dueAt - clock.epochMs());
    }
  }

  #delay(client: ClientIdentity, will: WillMessage, delayMs: number): void {
    const { login, clientId, id } = client;
    this.#delayed.set(id, { client: { login, clientId, id }, will });
    this.#deadlines.set(id, this.#options.clock.monotonicMs() + delayMs);
  }

  #takeDelayed(id: string): Delayed | null {
    const delayed = this.#delayed.get(id);
    if (delayed === undefined) return null;
    this.#delayed.delete(id);
    this.#deadlines.delete(id);
    return delayed;
  }

  #put({ id, login }: ClientIdentity, will: WillMessage, dueAt: number | null): void {
    const { topic, payload, qos, retain, delaySeconds, expirySeconds, properties } = will;
    this.#options.store.putWill(id, {
      ...{ clientId: id, login, topic, payload, qos, retain, delaySeconds, expirySeconds, properties, dueAt },
    });
  }

  /** If its owner may write to its topic, and be answered there, now; otherwise it is dropped, as a denied publish is. */
  *#publish(client: ClientIdentity, will: WillMessage, account: UserAccount): Job {
    const { gate, distribution, counters, history, log, noisyLog, clock } = this.#options;
    const { login, clientId } = client;
    const { topic, payload, qos, retain, properties, expirySeconds } = will;
    if (!(yield* this.#waitForRate(client, will, account))) {
      this.#forget(client, will, account);
      return;
    }
    const denied = [topic, responseTopicOf(properties)].find((each) => each !== null && !gate.mayPublish(client, each));
    if (denied == null) {
      counters.willsPublished++;
      const more = { properties, expirySeconds, cameAt: clock.epochMs() };
      yield* distribution.posting(Publication.of(topic, payload, qos, retain, login, clientId, more), account);
    } else {
      counters.willsDenied++;
      history.denied(client, 'will', denied, 'denied', () =>
        denialText(login, denied, gate.mayReceive(client, denied)),
      );
      noisyLog
        .user(login)
        .line('will-denied', (suppressed) =>
          log.warn({ login, topic: denied.slice(0, 200), suppressed }, 'Will denied'),
        );
    }
    this.#forget(client, will, account);
  }

  /** Behind the messages that wait already, as one of those that are queued. False: it is not published. */
  *#waitForRate(client: ClientIdentity, will: WillMessage, account: UserAccount): Generator<Valve, boolean, void> {
    const { login } = client;
    const { topic, payload, properties } = will;
    const bytes = Buffer.byteLength(topic) + payload.length + (properties?.length ?? 0);
    const toll = new PublishToll();
    if (account.incoming === null || toll.passes(account.incoming, bytes)) return true;
    const { wills } = account.balances;
    wills.add(-willBytes(will));
    const fits = account.mayQueue(bytes, true);
    if (fits) {
      account.countMessage(bytes);
      this.#slowed.set(will, { login, toll });
      do yield toll;
      while (this.#slowed.has(will) && account.incoming !== null && !toll.passes(account.incoming, bytes));
      account.forgetMessage(bytes);
    } else {
      toll.quit();
      this.#tellDropped(client, topic);
    }
    wills.add(willBytes(will));
    return this.#slowed.delete(will);
  }

  #tellDropped(client: ClientIdentity, topic: string): void {
    const { counters, history, log, noisyLog } = this.#options;
    counters.messagesDropped.add('user-quota');
    countLimit(counters, 'user-quota');
    history.denied(client, 'will', topic, 'user-quota', () => limitHint('user-quota'));
    noisyLog
      .user(client.login)
      .line('will-dropped', (suppressed) =>
        log.warn({ login: client.login, dropped: suppressed + 1 }, 'Wills dropped: too many wait for the rate'),
      );
  }

  #forget({ id }: ClientIdentity, will: WillMessage, account: UserAccount): void {
    account.balances.wills.add(-willBytes(will));
    // The client may be back, with another one.
    if ((this.#stored.get(id) ?? will) !== will) return;
    this.#stored.delete(id);
    this.#options.store.deleteWill(id);
  }
}

function responseTopicOf(properties: Buffer | null): string | null {
  if (properties === null) return null;
  const reader = new PropertyReader().over(properties);
  while (reader.next()) if (reader.id === Property.RESPONSE_TOPIC) return reader.text;
  return null;
}

/** What a Will takes: in the connection and in the store. */
export function willBytes({
  topic,
  payload,
  properties,
}: Pick<WillMessage, 'topic' | 'payload' | 'properties'>): number {
  return 512 + 2 * topic.length + payload.length + (properties?.length ?? 0);
}
