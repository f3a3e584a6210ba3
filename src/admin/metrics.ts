import type { BrokerParts } from '../broker-parts.js';
import { expositionFor, type Family } from '../observe/exposition.js';
import type { AdminContext } from './context.js';
import { inSlices, type Steps } from './in-slices.js';
import type { Answer } from './route.js';

/**
 * Totals for Prometheus. One answer is made at a time, in slices: requests that come meanwhile share the next one, so
 * that however many ask, it is never more work than that.
 */
export class Metrics {
  readonly #context: AdminContext;
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<readonly Family[]> | null = null;

  constructor(context: AdminContext) {
    this.#context = context;
  }

  async answer(accept: string): Promise<Answer> {
    this.#next ??= this.#afterThis();
    const families = await this.#next;
    const exposition = expositionFor(accept);
    return { kind: 'text', type: exposition.contentType, text: exposition.write(families) };
  }

  async #afterThis(): Promise<readonly Family[]> {
    await this.#running;
    this.#next = null;
    const families = inSlices(this.#context.parts, collect(this.#context.parts));
    this.#running = families.catch(() => {});
    return families;
  }
}

function* collect(parts: BrokerParts): Steps<readonly Family[]> {
  yield;
  return Object.entries(numbersOf(parts)).map(([name, value]) => ({
    name: `iotlab_broker_${name}`,
    type: name.endsWith('_total') ? 'counter' : 'gauge',
    help: name,
    samples: [[{}, value]],
  }));
}

function numbersOf({ counters, sessions, store, ledger, connections }: BrokerParts): Record<string, number> {
  return {
    connections: connections.size,
    sessions: sessions.size,
    retained_messages: store.retained.size,
    connections_accepted_total: counters.connectionsAccepted,
    connections_refused_total: counters.connectionsRefused,
    messages_received_total: counters.messagesReceived,
    messages_delivered_total: counters.messagesDelivered,
    messages_dropped_total: counters.messagesDropped,
    publishes_denied_total: counters.publishesDenied,
    subscriptions_denied_total: counters.subscriptionsDenied,
    memory_reliefs_total: counters.memoryReliefs,
    held_bytes: ledger.heldBytes,
    held_bytes_limit: ledger.limitForAll,
  };
}
