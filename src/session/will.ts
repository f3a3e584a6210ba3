import { denialText } from '../acl/hint.js';
import { type Job, perform } from '../fairness/job.js';
import type { Scheduler } from '../fairness/scheduler.js';
import type { Qos } from '../mqtt/packets.js';
import { Publication } from '../mqtt/publication.js';
import type { Counters } from '../observe/counters.js';
import type { History } from '../observe/history.js';
import type { Log } from '../observe/log.js';
import type { RateLimited } from '../observe/rate-limited.js';
import type { Store } from '../store/contract.js';
import type { Distribution } from './distribution.js';
import type { ClientIdentity, Gate } from './gate.js';
import type { UserAccount } from './user-account.js';

/** A Will as CONNECT has it. */
export interface WillMessage {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly retain: boolean;
}

export interface WillsOptions {
  readonly store: Pick<Store, 'putWill' | 'deleteWill' | 'loadWills'>;
  readonly distribution: Distribution;
  readonly gate: Gate;
  readonly scheduler: Scheduler;
  readonly account: (login: string) => UserAccount;
  readonly counters: Counters;
  readonly history: History;
  readonly log: Log;
  readonly noisyLog: RateLimited;
}

/**
 * The Wills of connected clients. Each is in the store for as long as its connection lives, so that it can be published
 * when the broker is started again after a crash; it leaves the store in the group that its message enters it.
 */
export class Wills {
  readonly #options: WillsOptions;
  /** Whose row in the store it is, by the client's id. */
  readonly #stored = new Map<string, WillMessage>();

  constructor(options: WillsOptions) {
    this.#options = options;
  }

  /** Whether there is room for it, `willBytes` tells before. */
  keep(client: ClientIdentity, will: WillMessage): void {
    const { id, login } = client;
    const { topic, payload, qos, retain } = will;
    const account = this.#options.account(login);
    account.balances.wills.add(willBytes(will));
    this.#stored.set(id, will);
    this.#options.store.putWill(id, {
      clientId: id,
      login,
      topic,
      payload,
      qos,
      retain,
      properties: null,
      expirySeconds: null,
      delaySeconds: 0,
      dueAt: null,
    });
  }

  /** The client said goodbye: the Will is not published [MQTT-3.1.2-10]. */
  discard(client: ClientIdentity, will: WillMessage): void {
    this.#forget(client, will, this.#options.account(client.login));
  }

  /**
   * The connection ended any other way: the Will is published [MQTT-3.1.2-8], when it is the user's turn. Until then it
   * is in the store, unless the same client has put another one there.
   */
  fire(client: ClientIdentity, will: WillMessage): void {
    const { scheduler } = this.#options;
    const account = this.#options.account(client.login);
    perform(this.#publish(client, will, account), account, scheduler);
  }

  /** Those of a broker that did not stop in order: published at once, not minutes later. */
  async fireLeft(): Promise<void> {
    for await (const will of this.#options.store.loadWills()) {
      const { clientId: id, login } = will;
      this.#options.account(login).balances.wills.add(willBytes(will));
      this.fire({ id, login, clientId: id.slice(login.length + 1) }, will);
    }
  }

  /** If its owner may write to its topic now; otherwise it is dropped, as a denied publish is. */
  *#publish(client: ClientIdentity, will: WillMessage, account: UserAccount): Job {
    const { gate, distribution, counters, history, log, noisyLog } = this.#options;
    const { login, clientId } = client;
    const { topic, payload, qos, retain } = will;
    if (gate.mayPublish(client, topic)) {
      yield* distribution.posting(Publication.of(topic, payload, qos, retain, login, clientId), account);
    } else {
      counters.publishesDenied++;
      history.denied(client, 'will', topic, 'denied', () => denialText(login, topic));
      noisyLog
        .user(login)
        .line('will-denied', (suppressed) =>
          log.warn({ login, topic: topic.slice(0, 200), suppressed }, 'Will denied'),
        );
    }
    this.#forget(client, will, account);
  }

  #forget({ id }: ClientIdentity, will: WillMessage, account: UserAccount): void {
    account.balances.wills.add(-willBytes(will));
    // The client may be back, with another one.
    if ((this.#stored.get(id) ?? will) !== will) return;
    this.#stored.delete(id);
    this.#options.store.deleteWill(id);
  }
}

/** What a Will takes: in the connection and in the store. */
export function willBytes({ topic, payload }: WillMessage): number {
  return 512 + 2 * topic.length + payload.length;
}
