import type { Publication } from '../mqtt/publication.js';
import type { Route, Router } from '../routing/router.js';
import type { Packet } from './packet.js';

type Listener = (packet: Packet, done: () => void) => void;

/**
 * aedes's `mq` contract, answered by the router. aedes itself listens on a few `$SYS/…` topics; sessions do not listen
 * at all, they are found by the route. Everything is done when `emit` calls back, in the same turn: a global queue in
 * between is what would let one user's stuck subscriber stop the others.
 */
export class MessageBus {
  /** The publication that the hub is sending: `emit` gets a packet, and this is where it came from. */
  current: Publication | null = null;
  closed = false;
  private readonly router: Router;
  private readonly listeners = new Map<string, Set<Listener>>();

  constructor(router: Router) {
    this.router = router;
  }

  on(topic: string, listener: Listener, done?: () => void): this {
    let listeners = this.listeners.get(topic);
    if (listeners === undefined) {
      listeners = new Set();
      this.listeners.set(topic, listeners);
    }
    listeners.add(listener);
    if (done) setImmediate(done);
    return this;
  }

  removeListener(topic: string, listener: Listener, done?: () => void): this {
    this.listeners.get(topic)?.delete(listener);
    if (done) setImmediate(done);
    return this;
  }

  emit(packet: Packet, done: (error?: Error) => void): this {
    const { current } = this;
    if (current === null) this.tellHub(packet);
    else this.deliver(current);
    done();
    return this;
  }

  /** Delivers to everyone who was not served by the persistence, one stage earlier. */
  deliver(publication: Publication): void {
    publication.route ??= this.router.route(publication.topic);
    const { route } = publication;
    if (publication.qos === 0) route.deliverPersistent(publication);
    route.deliverTransient(publication);
  }

  route(topic: string): Route {
    return this.router.route(topic);
  }

  close(done: () => void): this {
    this.closed = true;
    this.listeners.clear();
    setImmediate(done);
    return this;
  }

  /** aedes's own news (`$SYS/<broker>/birth`, `…/new/clients`): for aedes alone, never for a session. */
  private tellHub(packet: Packet): void {
    for (const [filter, listeners] of this.listeners) {
      if (!matchesSystemFilter(packet.topic, filter)) continue;
      for (const listener of listeners) listener(packet, () => {});
    }
  }
}

/** `$SYS/+/heartbeat` and the like: aedes's filters have one `+`, for the broker's id. */
function matchesSystemFilter(topic: string, filter: string): boolean {
  const plus = filter.indexOf('+');
  if (plus === -1) return topic === filter;
  const tail = filter.slice(plus + 1);
  return topic.startsWith(filter.slice(0, plus)) && topic.endsWith(tail);
}
