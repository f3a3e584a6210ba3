import type { RetainedIndex, RetainedMessage } from './contract.js';
import type { GroupCommit } from './group-commit.js';
import { RETAINED, rangeOf } from './keys.js';
import { decodeRetained, encodeRetained } from './rows.js';

/** One level of a topic. Children are made when there are any: most nodes are leaves. */
interface Node {
  children: Map<string, Node> | null;
  message: RetainedMessage | undefined;
}

const newNode = (): Node => ({ children: null, message: undefined });

/** Reads every retained message into memory. */
export async function loadRetained(group: GroupCommit): Promise<RetainedTree> {
  const tree = new RetainedTree(group);
  for await (const chunk of group.chunks(rangeOf(RETAINED))) {
    for (const [key, value] of chunk) tree.insert(decodeRetained(key.slice(RETAINED.length), value));
  }
  return tree;
}

export class RetainedTree implements RetainedIndex {
  readonly #group: GroupCommit;
  readonly #messages = new Map<string, RetainedMessage>();
  readonly #root = newNode();

  constructor(group: GroupCommit) {
    this.#group = group;
  }

  get size(): number {
    return this.#messages.size;
  }

  get(topic: string): RetainedMessage | undefined {
    return this.#messages.get(topic);
  }

  [Symbol.iterator](): Iterator<RetainedMessage> {
    return this.#messages.values();
  }

  set(message: RetainedMessage): RetainedMessage | undefined {
    const value = encodeRetained(message);
    // What is kept is the copy: the payload that came may be a slice of a much larger buffer.
    const replaced = this.insert(decodeRetained(message.topic, value));
    this.#group.put(RETAINED + message.topic, value, replaced === undefined);
    return replaced;
  }

  delete(topic: string): RetainedMessage | undefined {
    const message = this.#messages.get(topic);
    if (message === undefined) return undefined;
    this.#messages.delete(topic);
    this.#remove(topic);
    this.#group.delete(RETAINED + topic);
    return message;
  }

  /** Into memory alone. */
  insert(message: RetainedMessage): RetainedMessage | undefined {
    let node = this.#root;
    for (const level of message.topic.split('/')) {
      node.children ??= new Map();
      let child = node.children.get(level);
      if (child === undefined) {
        child = newNode();
        node.children.set(level, child);
      }
      node = child;
    }
    const replaced = node.message;
    node.message = message;
    this.#messages.set(message.topic, message);
    return replaced;
  }

  /**
   * Level by level: `here` holds the nodes that the levels so far lead to, each once, so that no filter can visit more
   * than the tree has.
   */
  match(filter: string): RetainedMessage[] {
    const levels = filter.split('/');
    const matches: RetainedMessage[] = [];
    let here = [this.#root];
    for (const [depth, level] of levels.entries()) {
      if (level === '#') {
        // The parent level belongs to what `#` matches [MQTT-4.7.1-2]; the root is no topic.
        if (depth > 0) for (const node of here) if (node.message !== undefined) matches.push(node.message);
        for (const node of here) this.#collect(node, depth === 0, matches);
        return matches;
      }
      const next: Node[] = [];
      for (const node of here) {
        if (node.children === null) continue;
        if (level === '+') {
          for (const [name, child] of node.children) if (depth > 0 || !name.startsWith('$')) next.push(child);
        } else {
          const child = node.children.get(level);
          if (child !== undefined) next.push(child);
        }
      }
      if (next.length === 0) return matches;
      here = next;
    }
    for (const node of here) if (node.message !== undefined) matches.push(node.message);
    return matches;
  }

  /** Everything below. A leading wildcard does not match topics that begin with `$` [MQTT-4.7.2-1]. */
  #collect(from: Node, withoutSystem: boolean, matches: RetainedMessage[]): void {
    const stack: Node[] = [];
    for (const [name, child] of from.children ?? []) if (!withoutSystem || !name.startsWith('$')) stack.push(child);
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      if (node.message !== undefined) matches.push(node.message);
      if (node.children !== null) for (const child of node.children.values()) stack.push(child);
    }
  }

  #remove(topic: string): void {
    const levels = topic.split('/');
    const path: Node[] = [this.#root];
    for (const level of levels) path.push(path.at(-1)!.children!.get(level)!);
    path.at(-1)!.message = undefined;
    for (let depth = levels.length; depth > 0; depth--) {
      const node = path[depth]!;
      if (node.message !== undefined || node.children !== null) return;
      const parent = path[depth - 1]!;
      parent.children!.delete(levels[depth - 1]!);
      if (parent.children!.size === 0) parent.children = null;
    }
  }
}
