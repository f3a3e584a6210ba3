import { type Grant, NO_LOCAL } from '../mqtt/grant.js';
import type { Publication } from '../mqtt/publication.js';
import { firstTwoLevels, parseShare } from '../mqtt/topics.js';
import type { ShareGroup } from './share-group.js';
import type { Subscriber, Target } from './subscriber.js';
import { type Matching, SubscriptionTree } from './subscription-tree.js';

/** Partitions kept; far more than users, and all of them can be found again. */
const PARTITIONS = 65_536;

/**
 * The topics that share their first two levels (`iotlab/alice`): one user's tree. Their routes are out of date together
 * when a subscription among them changes, and nobody else's are.
 */
class Partition {
  epoch = 1;
}

/** Who gets a message with one topic. Good for as long as `current` says so; whoever remembers it pays for it. */
export class Route {
  /** Sessions that keep messages while their client is away. */
  readonly persistent: readonly Target[];
  /** Sessions that end with their connection. */
  readonly transient: readonly Target[];
  readonly groups: readonly ShareGroup[];
  /** The lists of receivers are one for many routes. */
  readonly shared: boolean;
  readonly #partition: Partition;
  readonly #epoch: number;

  constructor(
    partition: Partition,
    persistent: readonly Target[],
    transient: readonly Target[],
    groups: readonly ShareGroup[],
    shared: boolean,
  ) {
    this.#partition = partition;
    this.#epoch = partition.epoch;
    this.persistent = persistent;
    this.transient = transient;
    this.groups = groups;
    this.shared = shared;
  }

  get keeps(): boolean {
    return this.persistent.length > 0;
  }

  get current(): boolean {
    return this.#epoch === this.#partition.epoch;
  }

  /** How many there are to deliver to. */
  get targets(): number {
    return this.persistent.length + this.transient.length + this.groups.length;
  }

  /**
   * Delivers to the target at `index`: first come the sessions that keep messages, so that the store has a message before
   * a receiver can acknowledge it; then the others, and one member of each shared subscription.
   */
  deliverTo(index: number, publication: Publication): void {
    const { persistent, transient, groups } = this;
    const afterPersistent = index - persistent.length;
    const afterTransient = afterPersistent - transient.length;
    const target =
      afterPersistent < 0
        ? persistent[index]!
        : afterTransient < 0
          ? transient[afterPersistent]!
          : groups[afterTransient]!.pick(publication);
    if (target === null) return;
    const { own, subscriber } = target;
    if ((target.granted & NO_LOCAL) === 0 || !subscriber.published(publication)) {
      subscriber.deliver(publication, target.granted, target.identifiers);
    } else if (own !== null) subscriber.deliver(publication, own.granted, own.identifiers);
  }
}

/** The search for a route. Where many filters could match it takes long, and can be gone on with later. */
export class RouteSearch {
  readonly #topic: string;
  readonly #partition: Partition;
  readonly #matching: Matching;

  constructor(topic: string, partition: Partition, matching: Matching) {
    this.#topic = topic;
    this.#partition = partition;
    this.#matching = matching;
  }

  /** The route, or null when looking at `maxNodes` of the tree was not enough: then go on. */
  proceed(maxNodes: number): Route | null {
    if (!this.#matching.proceed(maxNodes)) return null;
    const { persistent, transient, shared } = this.#matching.targets;
    const mayReceive = ({ subscriber }: Target) => subscriber.mayReceive(this.#topic);
    const all = shared && persistent.every(mayReceive) && transient.every(mayReceive);
    return new Route(
      this.#partition,
      all ? persistent : persistent.filter(mayReceive),
      all ? transient : transient.filter(mayReceive),
      this.#matching.groups,
      all,
    );
  }
}

/** The subscriptions of all sessions, and the routes found in them. */
export class Router {
  readonly #tree = new SubscriptionTree();
  readonly #partitions = new Map<string, Partition>();

  /** Adds or replaces a subscription, its identifier too. */
  subscribe(subscriber: Subscriber, filter: string, granted: Grant, identifier: number | null = null): void {
    const share = parseShare(filter);
    const plain = share === null ? filter : share.filter;
    const group = share === null ? null : groupKey(subscriber, share.group);
    this.#tree.add(plain, subscriber, granted, group, identifier);
    this.#invalidate(plain);
  }

  /** False when there was no such subscription. */
  unsubscribe(subscriber: Subscriber, filter: string): boolean {
    const share = parseShare(filter);
    const plain = share === null ? filter : share.filter;
    const found = this.#tree.delete(plain, subscriber, share === null ? null : groupKey(subscriber, share.group));
    if (found) this.#invalidate(plain);
    return found;
  }

  search(topic: string): RouteSearch {
    return new RouteSearch(topic, this.#partitionOf(firstTwoLevels(topic)), this.#tree.match(topic));
  }

  route(topic: string): Route {
    return this.search(topic).proceed(Number.POSITIVE_INFINITY)!;
  }

  /** All routes are out of date: others may receive now. */
  forgetRoutes(): void {
    for (const partition of this.#partitions.values()) partition.epoch++;
  }

  #partitionOf(key: string): Partition {
    let partition = this.#partitions.get(key);
    if (partition === undefined) {
      if (this.#partitions.size >= PARTITIONS) {
        for (const known of this.#partitions.values()) known.epoch++;
        this.#partitions.clear();
      }
      partition = new Partition();
      this.#partitions.set(key, partition);
    }
    return partition;
  }

  /** Puts the routes out of date that a change of `filter` can touch. */
  #invalidate(filter: string): void {
    const key = firstTwoLevels(filter);
    if (key.includes('+') || key.includes('#')) {
      // A wildcard in the first two levels: rare, and never granted by the default rules.
      this.forgetRoutes();
      return;
    }
    const partition = this.#partitions.get(key);
    if (partition !== undefined) partition.epoch++;
  }
}

function groupKey(subscriber: Subscriber, group: string): string {
  return `${subscriber.login}\0${group}`;
}
