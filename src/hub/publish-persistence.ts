import type { Clock } from '../clock.js';
import type { Router } from '../routing/router.js';
import type { OpenedStore } from '../store/store.js';
import type { MessageBus } from './message-bus.js';
import type { RetainedQuota } from './retained-quota.js';

/**
 * An answer that is there already. aedes's pipeline calls `then` on what its persistence returns; a promise would put
 * the rest of the publish behind everything else of this turn, and a QoS 1 message behind the QoS 0 message that came
 * after it. What has to wait for the disk waits in the publication's SafetyTicket instead.
 */
class Immediate<T> {
  private readonly value: T;
  constructor(value: T) {
    this.value = value;
  }
  // biome-ignore lint/suspicious/noThenProperty: being a thenable that answers in the same turn is its whole purpose
  then(done: (value: T) => void): void {
    done(this.value);
  }
}

const done = new Immediate<undefined>(undefined);

/**
 * The part of aedes's persistence contract that its publish pipeline uses, for messages whose route is known: retained
 * messages go to the store, and messages at QoS 1 and 2 into the queues of the persistent sessions. The whole contract,
 * over the same data, is `store.persistence`.
 */
export class PublishPersistence {
  private readonly store: OpenedStore;
  private readonly bus: MessageBus;
  private readonly router: Router;
  private readonly quota: RetainedQuota;
  private readonly clock: Clock;

  constructor(options: { store: OpenedStore; bus: MessageBus; router: Router; quota: RetainedQuota; clock: Clock }) {
    this.store = options.store;
    this.bus = options.bus;
    this.router = options.router;
    this.quota = options.quota;
    this.clock = options.clock;
  }

  async setup(broker: { id: string }): Promise<void> {
    await this.store.persistence.setup(broker);
  }

  /** An empty payload deletes [MQTT-3.3.1-10]; otherwise the message replaces the one before [MQTT-3.3.1-5]. */
  storeRetained(): Immediate<undefined> {
    const publication = this.bus.current;
    if (publication === null) return done;
    const { topic, qos, login } = publication;
    if (publication.payloadBytes === 0) {
      const before = this.store.retained.delete(topic);
      if (before === undefined) return done;
      this.quota.removed(before);
    } else {
      const message = publication.message();
      const kept = { topic, payload: message.payload, qos, properties: null, storedAt: this.clock.epochMs() };
      if (!this.quota.admits(kept, this.store.retained.get(topic), login)) return done;
      const before = this.store.retained.set(kept);
      if (before !== undefined) this.quota.removed(before);
      this.quota.added(kept);
    }
    publication.needsStore().add();
    return done;
  }

  /** Who keeps this message: the route knows. */
  subscriptionsByTopic(): Immediate<readonly []> {
    return none;
  }

  /** Puts the message into the queues of the persistent sessions. */
  outgoingEnqueueCombi(): Immediate<undefined> {
    const publication = this.bus.current;
    if (publication !== null) {
      publication.route ??= this.router.route(publication.topic);
      publication.route.deliverPersistent(publication);
    }
    return done;
  }

  /** Wills of brokers that died are published at start by the broker itself, without waiting for a heartbeat. */
  streamWill(): AsyncIterable<never> {
    return noWills();
  }

  async delWill(): Promise<void> {}
}

const none = new Immediate<readonly []>([]);

async function* noWills(): AsyncGenerator<never> {}
