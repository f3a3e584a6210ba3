import type { Qos } from '../mqtt/packets.js';
import type { Publication } from '../mqtt/publication.js';
import { firstTwoLevels, parseShare } from '../mqtt/topics.js';
import type { ShareGroup } from './share-group.js';
import type { Subscriber, Target } from './subscriber.js';
import { SubscriptionTree } from './subscription-tree.js';

/** Routes kept per partition; a user who publishes to more topics than that pays for the search again. */
const ROUTES_PER_PARTITION = 2_000;
/** Longer topics are searched for each time: remembering them would let a user fill the memory with names. */
const LONGEST_KNOWN_TOPIC = 512;
/** Partitions kept; far more than users, and all of them can be found again. */
const PARTITIONS = 65_536;

/**
 * The topics that share their first two levels (`iotlab/alice`): one user's tree. Their routes are forgotten together
 * when a subscription among them changes, and nobody else's are.
 */
class Partition {
  epoch = 1;
  readonly routes = new Map<string, Route>();
}

/** Who gets a message with one topic. Good for as long as `current` says so. */
export class Route {
  /** Sessions that keep messages while their client is away. */
  readonly persistent: readonly Target[];
  /** Sessions that end with their connection. */
  readonly transient: readonly Target[];
  readonly groups: readonly ShareGroup[];
  /** Nodes of the tree that were looked at to find it. */
  readonly cost: number;
  private readonly partition: Partition;
  private readonly epoch: number;

  constructor(
    partition: Partition,
    persistent: readonly Target[],
    transient: readonly Target[],
    groups: readonly ShareGroup[],
    cost: number,
  ) {
    this.partition = partition;
    this.epoch = partition.epoch;
    this.persistent = persistent;
    this.transient = transient;
    this.groups = groups;
    this.cost = cost;
  }

  get keeps(): boolean {
    return this.persistent.length > 0;
  }

  get current(): boolean {
    return this.epoch === this.partition.epoch;
  }

  /** Delivers to the sessions that keep messages. */
  deliverPersistent(publication: Publication): void {
    const { persistent } = this;
    for (let i = 0; i < persistent.length; i++) {
      const target = persistent[i]!;
      target.subscriber.deliver(publication, target.granted);
    }
  }

  /** Delivers to the other sessions, and to one member of each shared subscription. */
  deliverTransient(publication: Publication): void {
    const { transient, groups } = this;
    for (let i = 0; i < transient.length; i++) {
      const target = transient[i]!;
      target.subscriber.deliver(publication, target.granted);
    }
    for (let i = 0; i < groups.length; i++) {
      const target = groups[i]!.pick(publication.topic);
      if (target !== null) target.subscriber.deliver(publication, target.granted);
    }
  }
}

/** The subscriptions of all sessions, and the routes found in them. */
export class Router {
  private readonly tree = new SubscriptionTree();
  private readonly partitions = new Map<string, Partition>();

  subscribe(subscriber: Subscriber, filter: string, granted: Qos): void {
    const share = parseShare(filter);
    const plain = share === null ? filter : share.filter;
    this.tree.add(plain, subscriber, granted, share === null ? null : groupKey(subscriber, share.group));
    this.invalidate(plain);
  }

  /** False when there was no such subscription. */
  unsubscribe(subscriber: Subscriber, filter: string): boolean {
    const share = parseShare(filter);
    const plain = share === null ? filter : share.filter;
    const found = this.tree.delete(plain, subscriber, share === null ? null : groupKey(subscriber, share.group));
    if (found) this.invalidate(plain);
    return found;
  }

  route(topic: string): Route {
    const partition = this.partitionOf(firstTwoLevels(topic));
    const known = partition.routes.get(topic);
    if (known !== undefined) return known;
    const matches = this.tree.match(topic);
    const persistent: Target[] = [];
    const transient: Target[] = [];
    for (const [subscriber, granted] of matches.subscribers) {
      if (subscriber.mayReceive(topic)) (subscriber.persistent ? persistent : transient).push({ subscriber, granted });
    }
    const route = new Route(partition, persistent, transient, matches.groups, matches.visited);
    if (topic.length > LONGEST_KNOWN_TOPIC) return route;
    if (partition.routes.size >= ROUTES_PER_PARTITION) partition.routes.clear();
    partition.routes.set(topic, route);
    return route;
  }

  private partitionOf(key: string): Partition {
    let partition = this.partitions.get(key);
    if (partition === undefined) {
      if (this.partitions.size >= PARTITIONS) {
        for (const known of this.partitions.values()) forget(known);
        this.partitions.clear();
      }
      partition = new Partition();
      this.partitions.set(key, partition);
    }
    return partition;
  }

  /** Forgets the routes that a change of `filter` can touch. */
  private invalidate(filter: string): void {
    const key = firstTwoLevels(filter);
    if (key.includes('+') || key.includes('#')) {
      // A wildcard in the first two levels: rare, and never granted by the default rules.
      for (const partition of this.partitions.values()) forget(partition);
      return;
    }
    const partition = this.partitions.get(key);
    if (partition !== undefined) forget(partition);
  }
}

function forget(partition: Partition): void {
  partition.epoch++;
  if (partition.routes.size > 0) partition.routes.clear();
}

function groupKey(subscriber: Subscriber, group: string): string {
  return `${subscriber.login}\0${group}`;
}
