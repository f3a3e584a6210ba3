import '../mqtt/buffer-slices.js';
import { isUtf8 } from 'node:buffer';
import { isValidTopicName } from '../mqtt/topics.js';
import type { Gate } from '../session/gate.js';
import { isKnown, KNOWN_TOPIC_BYTES, type KnownTopic } from '../session/known-topics.js';
import type { Session } from '../session/session.js';
import { ProtocolError } from './protocol-error.js';

/** What is known about the topics that one client publishes to. */
export class PublishTopics {
  readonly #gate: Gate;
  readonly #session: Session;
  #last: KnownTopic | null = null;

  constructor(gate: Gate, session: Session) {
    this.#gate = gate;
    this.#session = session;
  }

  /** The topic in `chunk` from `start` to `end`. Throws a ProtocolError when it is none. */
  find(chunk: Buffer, start: number, end: number): KnownTopic {
    const last = this.#last;
    return last !== null && isKnown(last, chunk, start, end) ? last : this.#lookUp(chunk, start, end);
  }

  #lookUp(chunk: Buffer, start: number, end: number): KnownTopic {
    const key = chunk.latin1Slice(start, end);
    const known = this.#session.account.topics.get(key) ?? this.#judge(key, chunk, start, end);
    this.#last = known;
    return known;
  }

  /** Checks a topic that the user publishes to for the first time, and asks the access rules. */
  #judge(key: string, chunk: Buffer, start: number, end: number): KnownTopic {
    const topic = chunk.utf8Slice(start, end);
    if (topic.includes('\uFFFD') && !isUtf8(chunk.subarray(start, end))) {
      throw new ProtocolError('MQTT-1.5.3-1', 'the topic is not UTF-8');
    }
    if (!isValidTopicName(topic)) {
      if (topic.includes('\0')) throw new ProtocolError('MQTT-1.5.3-2', 'U+0000 in the topic');
      throw new ProtocolError('MQTT-3.3.2-2', 'a topic that is empty or has a wildcard');
    }
    const allowed = this.#gate.mayPublish(this.#session, topic);
    const known: KnownTopic = { topic, key, allowed, route: null, routeBytes: null };
    if (end - start <= KNOWN_TOPIC_BYTES) this.#session.account.topics.add(known);
    return known;
  }
}
