import { bothGranted, type Grant, NO_LOCAL } from '../mqtt/grant.js';
import { LevelNode } from '../mqtt/level-node.js';
import { ShareGroup } from './share-group.js';
import type { Subscriber, Target } from './subscriber.js';

/** Filters that end at one place of the tree. */
export class Ending {
  readonly #subscribers = new Map<Subscriber, Grant>();
  /** Of those subscriptions that have one. */
  #identifiers: Map<Subscriber, number> | null = null;
  groups: Map<string, ShareGroup> | null = null;
  #targets: Targets | null = null;

  get empty(): boolean {
    return this.#subscribers.size === 0 && this.groups === null;
  }

  /** Those who subscribed without a group, in lists that all routes share which lead to this one place. */
  get targets(): Targets {
    this.#targets ??= targetsOf(this.#each());
    return this.#targets;
  }

  identifierOf(subscriber: Subscriber): number | undefined {
    return this.#identifiers?.get(subscriber);
  }

  get subscribers(): Iterable<[Subscriber, Grant]> {
    return this.#subscribers;
  }

  set(subscriber: Subscriber, granted: Grant, identifier: number | null): void {
    this.#subscribers.set(subscriber, granted);
    if (identifier === null) this.#identifiers?.delete(subscriber);
    else {
      this.#identifiers ??= new Map();
      this.#identifiers.set(subscriber, identifier);
    }
    this.#targets = null;
  }

  delete(subscriber: Subscriber): boolean {
    this.#targets = null;
    this.#identifiers?.delete(subscriber);
    return this.#subscribers.delete(subscriber);
  }

  *#each(): Generator<Target, void, void> {
    for (const [subscriber, granted] of this.#subscribers) {
      const identifier = this.identifierOf(subscriber);
      yield { subscriber, granted, identifiers: identifier === undefined ? null : [identifier], own: null };
    }
  }
}

/** Sessions that keep messages while their client is away, and those that end with their connection. */
export interface Targets {
  readonly persistent: readonly Target[];
  readonly transient: readonly Target[];
}

function targetsOf(targets: Iterable<Target>): Targets {
  const persistent: Target[] = [];
  const transient: Target[] = [];
  for (const target of targets) (target.subscriber.persistent ? persistent : transient).push(target);
  return { persistent, transient };
}

/** What the filters of a subscriber that end at several places were granted, all together. */
type Together = Map<Subscriber, { granted: Grant; identifiers: number[] | null }>;

/** `own`: for what the subscriber publishes itself, filters with No Local are left out [MQTT-3.8.3-3]. */
function together(endings: readonly Ending[], own: boolean): Together {
  const all: Together = new Map();
  for (const ending of endings) {
    for (const [subscriber, granted] of ending.subscribers) {
      if (own && (granted & NO_LOCAL) !== 0) continue;
      const identifier = ending.identifierOf(subscriber);
      const before = all.get(subscriber);
      if (before === undefined) {
        all.set(subscriber, { granted, identifiers: identifier === undefined ? null : [identifier] });
        continue;
      }
      before.granted = bothGranted(before.granted, granted);
      if (identifier === undefined) continue;
      // Also one that is among them already: the client chose to give two filters the same (3.3.4).
      before.identifiers ??= [];
      before.identifiers.push(identifier);
    }
  }
  return all;
}

/** Each subscriber once. */
function* mergedTargets(endings: readonly Ending[]): Generator<Target, void, void> {
  let own: Together | null = null;
  for (const [subscriber, granted] of together(endings, false)) {
    if ((granted.granted & NO_LOCAL) !== 0) own ??= together(endings, true);
    const its = own?.get(subscriber);
    yield { subscriber, ...granted, own: its === undefined ? null : { subscriber, ...its, own: null } };
  }
}

/** `+` is kept apart from the levels that are known by their text. */
class Node extends LevelNode<Node> {
  plus: Node | null = null;
  /** Filters that end with this level. */
  here: Ending | null = null;
  /** Filters that end with `#` below this level; they match this level too [MQTT-4.7.1-2]. */
  below: Ending | null = null;

  get empty(): boolean {
    return this.childless && this.plus === null && this.here === null && this.below === null;
  }

  /** The node of the next level, made if need be. */
  next(level: string): Node {
    if (level === '+') {
      this.plus ??= new Node();
      return this.plus;
    }
    let child = this.child(level);
    if (child === null) {
      child = new Node();
      this.addChild(level, child);
    }
    return child;
  }

  cut(level: string): void {
    if (level === '+') this.plus = null;
    else this.cutChild(level);
  }
}

/**
 * The search for what matches a topic: level by level, in parts as long as wanted. What is subscribed and unsubscribed
 * between the parts may be found or not, as if it had come a moment sooner or later.
 */
export class Matching {
  readonly groups: ShareGroup[] = [];
  readonly #endings: Ending[] = [];
  readonly #levels: readonly string[];
  /** [MQTT-4.7.2-1]: wildcards in the first level don't match topics that begin with $. */
  readonly #reserved: boolean;
  #depth = 0;
  /** The nodes that the levels so far lead to, of which those from `#index` on are to be looked at. */
  #nodes: Node[];
  #index = 0;
  #next: Node[] = [];

  constructor(root: Node, topic: string) {
    this.#levels = topic.split('/');
    this.#reserved = topic.charCodeAt(0) === 36;
    this.#nodes = [root];
  }

  /** Looks at up to `maxNodes` nodes. True when everything is found. */
  proceed(maxNodes: number): boolean {
    let left = maxNodes;
    for (;;) {
      const level = this.#levels[this.#depth];
      const wildcards = this.#depth > 0 || !this.#reserved;
      for (; this.#index < this.#nodes.length; this.#index++) {
        if (left-- <= 0) return false;
        const node = this.#nodes[this.#index]!;
        if (wildcards && node.below !== null) this.#collect(node.below);
        if (level === undefined) {
          if (node.here !== null) this.#collect(node.here);
          continue;
        }
        const child = node.child(level);
        if (child !== null) this.#next.push(child);
        if (wildcards && node.plus !== null) this.#next.push(node.plus);
      }
      if (level === undefined || this.#next.length === 0) return true;
      this.#depth++;
      this.#nodes = this.#next;
      this.#next = [];
      this.#index = 0;
    }
  }

  /** Each subscriber once, with what its filters were granted. `shared`: the lists are an ending's own. */
  get targets(): Targets & { readonly shared: boolean } {
    const [only, ...others] = this.#endings;
    if (only !== undefined && others.length === 0) return { ...only.targets, shared: true };
    return { ...targetsOf(mergedTargets(this.#endings)), shared: false };
  }

  #collect(ending: Ending): void {
    if (!ending.empty) this.#endings.push(ending);
    if (ending.groups !== null) this.groups.push(...ending.groups.values());
  }
}

/**
 * All subscriptions, as a tree of topic levels. Matching walks the levels of the topic and at each the one child of
 * that name and the `+` child, so its cost follows the filters that could match, not the number of filters: a hundred
 * thousand subscriptions of other users are one entry in one map.
 */
export class SubscriptionTree {
  readonly #root = new Node();

  /** Adds or replaces [MQTT-3.8.4-3]. `share` is the group of a shared subscription, made unique per user. */
  add(
    filter: string,
    subscriber: Subscriber,
    granted: Grant,
    share: string | null,
    identifier: number | null = null,
  ): void {
    const levels = filter.split('/');
    const toHash = levels[levels.length - 1] === '#';
    if (toHash) levels.pop();
    let node = this.#root;
    for (const level of levels) node = node.next(level);
    if (toHash) node.below ??= new Ending();
    else node.here ??= new Ending();
    const ending = (toHash ? node.below : node.here)!;
    if (share === null) {
      ending.set(subscriber, granted, identifier);
      return;
    }
    ending.groups ??= new Map();
    let group = ending.groups.get(share);
    if (group === undefined) {
      group = new ShareGroup();
      ending.groups.set(share, group);
    }
    group.set(subscriber, granted, identifier);
  }

  /** False when there was no such subscription. Branches that lead nowhere any more are cut. */
  delete(filter: string, subscriber: Subscriber, share: string | null): boolean {
    const levels = filter.split('/');
    const toHash = levels[levels.length - 1] === '#';
    if (toHash) levels.pop();
    const path: Node[] = [this.#root];
    let node = this.#root;
    for (const level of levels) {
      const next = level === '+' ? node.plus : node.child(level);
      if (next === null) return false;
      node = next;
      path.push(node);
    }
    const ending = toHash ? node.below : node.here;
    if (ending === null || !removeFrom(ending, subscriber, share)) return false;
    if (ending.empty) {
      if (toHash) node.below = null;
      else node.here = null;
    }
    for (let i = levels.length - 1; i >= 0 && path[i + 1]!.empty; i--) path[i]!.cut(levels[i]!);
    return true;
  }

  /** The search is only begun. */
  match(topic: string): Matching {
    return new Matching(this.#root, topic);
  }
}

function removeFrom(ending: Ending, subscriber: Subscriber, share: string | null): boolean {
  if (share === null) return ending.delete(subscriber);
  const group = ending.groups?.get(share);
  if (group === undefined || !group.delete(subscriber)) return false;
  if (group.size === 0) {
    ending.groups!.delete(share);
    if (ending.groups!.size === 0) ending.groups = null;
  }
  return true;
}
