import type { Qos } from '../mqtt/packets.js';
import { ShareGroup } from './share-group.js';
import type { Subscriber } from './subscriber.js';

/** Filters that end at one place of the tree. */
class Ending {
  readonly subscribers = new Map<Subscriber, Qos>();
  groups: Map<string, ShareGroup> | null = null;

  get empty(): boolean {
    return this.subscribers.size === 0 && this.groups === null;
  }
}

class Node {
  /** Next levels by their text; `+` is kept apart. */
  children: Map<string, Node> | null = null;
  plus: Node | null = null;
  /** Filters that end with this level. */
  here: Ending | null = null;
  /** Filters that end with `#` below this level; they match this level too [MQTT-4.7.1-2]. */
  below: Ending | null = null;

  get empty(): boolean {
    return this.children === null && this.plus === null && this.here === null && this.below === null;
  }
}

/** What matches a topic. `visited` tells what finding it cost. */
export interface Matches {
  readonly subscribers: Map<Subscriber, Qos>;
  readonly groups: ShareGroup[];
  visited: number;
}

/**
 * All subscriptions, as a tree of topic levels. Matching walks the levels of the topic and at each the one child of
 * that name and the `+` child, so its cost follows the filters that could match, not the number of filters: a hundred
 * thousand subscriptions of other users are one entry in one map.
 */
export class SubscriptionTree {
  private readonly root = new Node();

  /** Adds or replaces [MQTT-3.8.4-3]. `share` is the group of a shared subscription, made unique per user. */
  add(filter: string, subscriber: Subscriber, granted: Qos, share: string | null): void {
    const levels = filter.split('/');
    const toHash = levels[levels.length - 1] === '#';
    if (toHash) levels.pop();
    let node = this.root;
    for (const level of levels) node = childOf(node, level);
    if (toHash) node.below ??= new Ending();
    else node.here ??= new Ending();
    const ending = (toHash ? node.below : node.here)!;
    if (share === null) {
      ending.subscribers.set(subscriber, granted);
      return;
    }
    ending.groups ??= new Map();
    let group = ending.groups.get(share);
    if (group === undefined) {
      group = new ShareGroup();
      ending.groups.set(share, group);
    }
    group.set(subscriber, granted);
  }

  /** False when there was no such subscription. Branches that lead nowhere any more are cut. */
  delete(filter: string, subscriber: Subscriber, share: string | null): boolean {
    const levels = filter.split('/');
    const toHash = levels[levels.length - 1] === '#';
    if (toHash) levels.pop();
    const path: Node[] = [this.root];
    let node = this.root;
    for (const level of levels) {
      const next = level === '+' ? node.plus : (node.children?.get(level) ?? null);
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
    for (let i = levels.length - 1; i >= 0 && path[i + 1]!.empty; i--) {
      const parent = path[i]!;
      const level = levels[i]!;
      if (level === '+') parent.plus = null;
      else if (parent.children!.delete(level) && parent.children!.size === 0) parent.children = null;
    }
    return true;
  }

  match(topic: string): Matches {
    const matches: Matches = { subscribers: new Map(), groups: [], visited: 0 };
    const levels = topic.split('/');
    // [MQTT-4.7.2-1]: wildcards in the first level don't match topics that begin with $.
    const reserved = topic.charCodeAt(0) === 36;
    let current: Node[] = [this.root];
    for (let depth = 0; depth < levels.length; depth++) {
      const level = levels[depth]!;
      const wildcards = depth > 0 || !reserved;
      const next: Node[] = [];
      for (const node of current) {
        if (wildcards && node.below !== null) collect(node.below, matches);
        const child = node.children?.get(level);
        if (child !== undefined) next.push(child);
        if (wildcards && node.plus !== null) next.push(node.plus);
      }
      matches.visited += current.length;
      if (next.length === 0) return matches;
      current = next;
    }
    for (const node of current) {
      if (node.here !== null) collect(node.here, matches);
      if (node.below !== null) collect(node.below, matches);
    }
    matches.visited += current.length + matches.subscribers.size;
    return matches;
  }
}

function childOf(node: Node, level: string): Node {
  if (level === '+') {
    node.plus ??= new Node();
    return node.plus;
  }
  node.children ??= new Map();
  let child = node.children.get(level);
  if (child === undefined) {
    child = new Node();
    node.children.set(level, child);
  }
  return child;
}

function removeFrom(ending: Ending, subscriber: Subscriber, share: string | null): boolean {
  if (share === null) return ending.subscribers.delete(subscriber);
  const group = ending.groups?.get(share);
  if (group === undefined || !group.delete(subscriber)) return false;
  if (group.size === 0) {
    ending.groups!.delete(share);
    if (ending.groups!.size === 0) ending.groups = null;
  }
  return true;
}

function collect(ending: Ending, matches: Matches): void {
  for (const [subscriber, granted] of ending.subscribers) {
    const before = matches.subscribers.get(subscriber);
    if (before === undefined || before < granted) matches.subscribers.set(subscriber, granted);
  }
  if (ending.groups !== null) matches.groups.push(...ending.groups.values());
}
