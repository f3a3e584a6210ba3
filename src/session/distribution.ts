import type { Clock } from '../clock.js';
import type { Publication } from '../mqtt/publication.js';
import type { SafetyTicket } from '../mqtt/safety-ticket.js';
import type { Route, Router } from '../routing/router.js';
import type { Store } from '../store/contract.js';
import type { RetainedQuota } from './retained-quota.js';

/** Sees every message that is distributed, when everything that was to be done with it is done. */
export type PublicationListener = (publication: Publication) => void;

export interface DistributionOptions {
  readonly router: Router;
  readonly store: Pick<Store, 'retained' | 'committed' | 'onRecovered'>;
  readonly quota: RetainedQuota;
  readonly clock: Clock;
}

/** From a publication to everyone who gets it and to the store that keeps it. */
export class Distribution {
  readonly #options: DistributionOptions;
  readonly #listeners: PublicationListener[] = [];
  /** Tickets of messages that the store could not keep yet. */
  readonly #unsafe: SafetyTicket[] = [];

  constructor(options: DistributionOptions) {
    this.#options = options;
    options.store.onRecovered(() => {
      for (const ticket of this.#unsafe.splice(0)) this.commit(ticket);
    });
  }

  onPublication(listener: PublicationListener): void {
    this.#listeners.push(listener);
  }

  /** Everything it does is done when this returns, but for the disk. `route` is the topic's, when it is known already. */
  publish(publication: Publication, route: Route = this.#options.router.route(publication.topic)): void {
    if (publication.retain) this.#retain(publication);
    // Those who keep it come first, so that the store has it before a receiver can acknowledge it.
    route.deliverPersistent(publication);
    route.deliverTransient(publication);
    const listeners = this.#listeners;
    for (let i = 0; i < listeners.length; i++) listeners[i]!(publication);
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

  /** An empty payload deletes [MQTT-3.3.1-10]; otherwise the message replaces the one before [MQTT-3.3.1-5]. */
  #retain(publication: Publication): void {
    const { quota, clock } = this.#options;
    const { retained } = this.#options.store;
    const { topic, qos, publisher } = publication;
    if (publication.payloadBytes === 0) {
      const before = retained.delete(topic);
      if (before === undefined) return;
      quota.removed(before);
    } else {
      const { payload } = publication.message();
      const kept = { topic, payload, qos, properties: null, storedAt: clock.epochMs() };
      if (!quota.admits(kept, retained.get(topic), publisher.login)) return;
      const before = retained.set(kept);
      if (before !== undefined) quota.removed(before);
      quota.added(kept);
    }
    publication.needsStore().add();
  }
}
