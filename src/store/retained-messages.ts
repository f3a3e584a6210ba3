import { LevelNode } from '../mqtt/level-node.js';
import type { RetainedIndex, RetainedMessage } from './contract.js';
import type { GroupCommit } from './group-commit.js';
import { RETAINED, rangeOf } from './keys.js';
import type { LongValues } from './long-values.js';
import { decodeRetained, encodeRetained } from './rows.js';

/** Nodes that are looked at in one step of a walk. */
const NODES_PER_STEP = 512;

/** One level of a topic. */
class Node extends LevelNode<Node> {
  message: RetainedMessage | undefined = undefined;
  /** When `message` came: walks that were begun before leave it out. */
  serial = 0;
}

/** Reads every retained message into memory. */
export async function loadRetained(group: GroupCommit, long: LongValues): Promise<RetainedTree> {
  const tree = new RetainedTree(group, long);
  for await (const chunk of group.chunks(rangeOf(RETAINED))) {
    for (const [key, value] of chunk) tree.insert(decodeRetained(key.slice(RETAINED.length), value));
  }
  return tree;
}

export class RetainedTree implements RetainedIndex {
  readonly #group: GroupCommit;
  readonly #long: LongValues;
  /** The rows of those that are not set yet. */
  readonly #prepared = new WeakMap<RetainedMessage, Buffer>();
  readonly #messages = new Map<string, RetainedMessage>();
  readonly #root = new Node();
  #serial = 0;

  constructor(group: GroupCommit, long: LongValues) {
    this.#group = group;
    this.#long = long;
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

  async prepare(message: RetainedMessage): Promise<RetainedMessage> {
    const value = encodeRetained(message);
    const prepared = decodeRetained(message.topic, value);
    await this.#long.prepare(value);
    this.#prepared.set(prepared, value);
    return prepared;
  }

  discard(message: RetainedMessage): void {
    const value = this.#prepared.get(message);
    if (value !== undefined) this.#long.discard(value);
  }

  set(message: RetainedMessage): RetainedMessage | undefined {
    const prepared = this.#prepared.get(message);
    const value = prepared ?? encodeRetained(message);
    // What is kept is the copy: the payload that came may be a slice of a much larger buffer.
    const replaced = this.insert(prepared === undefined ? decodeRetained(message.topic, value) : message);
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
      let child = node.child(level);
      if (child === null) {
        child = new Node();
        node.addChild(level, child);
      }
      node = child;
    }
    const replaced = node.message;
    node.message = message;
    node.serial = ++this.#serial;
    this.#messages.set(message.topic, message);
    return replaced;
  }

  match(filter: string): RetainedMessage[] {
    const walk = this.walk(filter);
    for (;;) {
      const { done, value } = walk.next();
      if (done) return value;
    }
  }

  /**
   * Level by level: `here` holds the nodes that the levels so far lead to, each once, so that no filter can visit more
   * than the tree has.
   */
  *walk(filter: string): Generator<undefined, RetainedMessage[], void> {
    const latest = this.#serial;
    const matches: RetainedMessage[] = [];
    const take = ({ message, serial }: Node) => {
      if (message !== undefined && serial <= latest) matches.push(message);
    };
    const levels = filter.split('/');
    let here: Node[] = [this.#root];
    let looked = 0;
    for (const [depth, level] of levels.entries()) {
      // [MQTT-4.7.2-1]: a leading wildcard does not match topics that begin with `$`.
      const open = (name: string) => depth > 0 || !name.startsWith('$');
      const next: Node[] = [];
      for (const node of here) {
        if (++looked % NODES_PER_STEP === 0) yield;
        if (level === '#' || level === '+') {
          node.forEachChild((child, name) => {
            if (open(name)) next.push(child);
          });
        } else {
          const child = node.child(level);
          if (child !== null) next.push(child);
        }
      }
      if (level !== '#') {
        if (next.length === 0) return matches;
        here = next;
        continue;
      }
      // The parent level belongs to what `#` matches [MQTT-4.7.1-2]; the root is no topic.
      if (depth > 0) for (const node of here) take(node);
      for (let node = next.pop(); node !== undefined; node = next.pop()) {
        if (++looked % NODES_PER_STEP === 0) yield;
        take(node);
        node.forEachChild((child) => next.push(child));
      }
      return matches;
    }
    for (const node of here) take(node);
    return matches;
  }

  #remove(topic: string): void {
    const levels = topic.split('/');
    const path: Node[] = [this.#root];
    for (const level of levels) path.push(path.at(-1)!.child(level)!);
    path.at(-1)!.message = undefined;
    for (let depth = levels.length; depth > 0; depth--) {
      const node = path[depth]!;
      if (node.message !== undefined || !node.childless) return;
      path[depth - 1]!.cutChild(levels[depth - 1]!);
    }
  }
}
