import type { Qos } from '../mqtt/packets.js';
import { Publication } from '../mqtt/publication.js';
import type { Counters } from '../observe/counters.js';
import type { Log } from '../observe/log.js';
import type { RateLimited } from '../observe/rate-limited.js';
import type { Store } from '../store/contract.js';
import type { Distribution } from './distribution.js';
import type { ClientIdentity, Gate } from './gate.js';

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
  readonly counters: Counters;
  readonly log: Log;
  readonly noisyLog: RateLimited;
}

/**
 * The Wills of connected clients. Each is in the store for as long as its connection lives, so that it can be published
 * when the broker is started again after a crash; it leaves the store in the group that its message enters it.
 */
export class Wills {
  readonly #options: WillsOptions;

  constructor(options: WillsOptions) {
    this.#options = options;
  }

  keep(client: ClientIdentity, { topic, payload, qos, retain }: WillMessage): void {
    const { id, login } = client;
    const will = { clientId: id, login, topic, payload, qos, retain, properties: null, delaySeconds: 0 };
    this.#options.store.putWill(id, will);
  }

  /** The client said goodbye: the Will is not published [MQTT-3.1.2-10]. */
  discard(client: ClientIdentity): void {
    this.#options.store.deleteWill(client.id);
  }

  /** The connection ended any other way: the Will is published [MQTT-3.1.2-8]. */
  fire(client: ClientIdentity, will: WillMessage): void {
    this.#publish(client, will);
    this.#options.store.deleteWill(client.id);
  }

  /** Those of a broker that did not stop in order: published at once, not minutes later. */
  async fireLeft(): Promise<void> {
    const { store } = this.#options;
    for await (const will of store.loadWills()) {
      const { clientId: id, login } = will;
      this.fire({ id, login, clientId: id.slice(login.length + 1) }, will);
    }
  }

  /** If its owner may write to its topic now; otherwise it is dropped, as a denied publish is. */
  #publish(client: ClientIdentity, { topic, payload, qos, retain }: WillMessage): void {
    const { gate, distribution, counters, log, noisyLog } = this.#options;
    const { login } = client;
    if (!gate.mayPublish(client, topic)) {
      counters.publishesDenied++;
      noisyLog.line(`will-denied:${login}`, (suppressed) =>
        log.warn({ login, topic: topic.slice(0, 200), suppressed }, 'Will denied'),
      );
      return;
    }
    const publication = Publication.of(topic, payload, qos, retain, login);
    distribution.publish(publication);
    if (publication.ticket !== null) distribution.commit(publication.ticket);
  }
}
