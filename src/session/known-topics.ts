import type { Balance } from '../fairness/account.js';
import type { Route } from '../routing/router.js';

/** Topics of a user that are remembered. */
const TOPICS = 4_096;
/** What they may take, with their routes. */
const TOPICS_BYTES = 8 * 1024 * 1024;
/** Longer topics are judged each time: remembering them would let a user fill the memory with names. */
export const KNOWN_TOPIC_BYTES = 512;
/**
 * When that is full, so many others have to be asked for before it begins anew. A user with more topics than that is not
 * helped by remembering, and remembering and forgetting all the time would keep the garbage collector busy for all.
 */
const MISSES = 65_536;
/** What one takes besides its text: two maps' entries, the object, the route. */
const BYTES_PER_TOPIC = 320;
/** What a receiver takes in a route. */
const BYTES_PER_TARGET = 40;

/** What is known about a topic that the user has published to. */
export interface KnownTopic {
  readonly topic: string;
  /** Its bytes, a character each. */
  readonly key: string;
  readonly allowed: boolean;
  /** Where it goes, as long as that is `current`. */
  route: Route | null;
  /** What `route` is counted as; null when the topic is not remembered. */
  routeBytes: number | null;
}

/** Longer topics are not compared with the last one: looking them up is about as quick. */
const COMPARED_BYTES = 128;

/**
 * Is it the topic in `chunk` from `start` to `end`, and remembered still? Most publishers send to the same topic again:
 * comparing costs a fifth of looking it up, which makes a text and its hash of the bytes (bench row "QoS 0, 1 → 1").
 */
export function isKnown(known: KnownTopic, chunk: Buffer, start: number, end: number): boolean {
  const { key } = known;
  const { length } = key;
  if (length !== end - start || length > COMPARED_BYTES || known.routeBytes === null) return false;
  // Topics of one user differ at their ends.
  let i = length - 1;
  while (i >= 0 && key.charCodeAt(i) === chunk[start + i]) i--;
  return i < 0;
}

/**
 * The decisions and routes of one user's topics, by the topic's bytes: shared by the user's connections, so that a
 * thousand of them don't know the same thing a thousand times.
 */
export class KnownTopics {
  readonly #topics = new Map<string, KnownTopic>();
  readonly #balance: Balance;
  #misses = 0;

  constructor(balance: Balance) {
    this.#balance = balance;
  }

  get(key: string): KnownTopic | undefined {
    return this.#topics.get(key);
  }

  /** Remembers a topic, unless there is no room for it. */
  add(known: KnownTopic): void {
    const { key } = known;
    if (this.#topics.size >= TOPICS || this.#balance.bytes > TOPICS_BYTES) {
      if (++this.#misses < MISSES) return;
      this.clear();
    }
    this.#topics.set(key, known);
    known.routeBytes = 0;
    this.#balance.add(BYTES_PER_TOPIC + 2 * key.length);
  }

  setRoute(known: KnownTopic, route: Route): void {
    known.route = route;
    if (known.routeBytes === null) return;
    const bytes = route.shared ? 0 : route.targets * BYTES_PER_TARGET;
    this.#balance.add(bytes - known.routeBytes);
    known.routeBytes = bytes;
  }

  clear(): void {
    for (const known of this.#topics.values()) {
      known.route = null;
      known.routeBytes = null;
    }
    this.#topics.clear();
    this.#misses = 0;
    this.#balance.add(-this.#balance.bytes);
  }
}
