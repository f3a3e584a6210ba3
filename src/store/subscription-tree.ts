import type { StoredSubscription } from './contract.js';

interface Node {
  readonly children: Map<string, Node>;
  /** By client id: one client may have many filters, and each stands for itself. */
  readonly subscriptions: Map<string, StoredSubscription>;
}

const newNode = (): Node => ({ children: new Map(), subscriptions: new Map() });

export interface SubscriptionMatch {
  readonly clientId: string;
  readonly subscription: StoredSubscription;
}

/** Whose filters match a topic, for the persistence contract of aedes. The broker itself routes in `routing/`. */
export class SubscriptionTree {
  readonly #root = newNode();

  add(clientId: string, subscription: StoredSubscription): void {
    let node = this.#root;
    for (const level of subscription.filter.split('/')) {
      let child = node.children.get(level);
      if (child === undefined) {
        child = newNode();
        node.children.set(level, child);
      }
      node = child;
    }
    node.subscriptions.set(clientId, subscription);
  }

  remove(clientId: string, filter: string): void {
    const levels = filter.split('/');
    const path = [this.#root];
    for (const level of levels) {
      const child = path.at(-1)!.children.get(level);
      if (child === undefined) return;
      path.push(child);
    }
    path.at(-1)!.subscriptions.delete(clientId);
    for (let depth = levels.length; depth > 0; depth--) {
      const node = path[depth]!;
      if (node.subscriptions.size > 0 || node.children.size > 0) return;
      path[depth - 1]!.children.delete(levels[depth - 1]!);
    }
  }

  /** Every subscription that matches, the widest filters first. */
  match(topic: string): SubscriptionMatch[] {
    const matches: SubscriptionMatch[] = [];
    const take = (node: Node | undefined) => {
      for (const [clientId, subscription] of node?.subscriptions ?? []) matches.push({ clientId, subscription });
    };
    const wildcards = !topic.startsWith('$');
    let here = [this.#root];
    for (const [depth, level] of topic.split('/').entries()) {
      const next: Node[] = [];
      for (const node of here) {
        // [MQTT-4.7.2-1]
        if (depth > 0 || wildcards) {
          take(node.children.get('#'));
          const any = node.children.get('+');
          if (any !== undefined) next.push(any);
        }
        const child = node.children.get(level);
        if (child !== undefined) next.push(child);
      }
      here = next;
    }
    for (const node of here) take(node.children.get('#'));
    for (const node of here) take(node);
    return matches;
  }
}
