import { nearest } from '../config/nearest.js';
import { topicMatchesFilter } from '../mqtt/topics.js';
import type { SeenMessage } from './api.js';
import type { RoutedMessage } from './broker-view.js';

/** The oldest are forgotten beyond these. */
const keptMessages = 100_000;
const keptBytes = 64 * 1024 * 1024;
/** Messages named in the error of a wait in vain. */
const namedMessages = 5;

/** Every message the broker routed, oldest first. */
export class MessageLog {
  #messages: SeenMessage[] = [];
  #bytes = 0;
  #forgotten = 0;

  record(message: RoutedMessage, timeMs: number): void {
    const payload = Buffer.from(message.payload);
    const { login, clientId, topic, qos, retain, properties } = message;
    this.#messages.push({
      ...{ login, clientId, topic, payload, qos, retain, properties, timeMs },
      get text() {
        return payload.toString();
      },
    });
    this.#bytes += payload.length;
    if (this.#messages.length > keptMessages || this.#bytes > keptBytes) this.#trim();
  }

  matching(filter: string): SeenMessage[] {
    return this.#messages.filter(({ topic }) => topicMatchesFilter(topic, filter));
  }

  clear(): void {
    this.#messages = [];
    this.#bytes = 0;
    this.#forgotten = 0;
  }

  /** What came closest to `filter`, and how much else there was: lines for an error. */
  describe(filter: string | null): string[] {
    if (this.#messages.length === 0) return ['No message was published.'];
    const close = filter === null ? [] : this.#closeTo(filter);
    const shown = (close.length > 0 ? close : this.#messages).slice(-namedMessages);
    const total = this.#messages.length + this.#forgotten;
    return [
      close.length > 0
        ? `Messages that came close (of ${total}):`
        : `The last of ${total} message${total === 1 ? '' : 's'}:`,
      ...shown.map(
        ({ topic, qos, payload, login, clientId }) =>
          `  ${topic} (QoS ${qos}, ${payload.length} bytes) from ${login}${clientId === null ? '' : ` "${clientId}"`}`,
      ),
    ];
  }

  /** Messages whose topic matches the filter, is nearly the same, or lies in the same branch. */
  #closeTo(filter: string): SeenMessage[] {
    const topics = new Set(this.#messages.map(({ topic }) => topic));
    const matching = [...topics].filter((topic) => topicMatchesFilter(topic, filter));
    const plain = filter.replace(/\/?[+#].*$/, '');
    const near = nearest(plain, topics);
    const parent = plain.slice(0, Math.max(0, plain.lastIndexOf('/') + 1));
    const branch = parent === '' ? [] : [...topics].filter((topic) => topic.startsWith(parent));
    const wanted = new Set(matching.length > 0 ? matching : near === undefined ? branch : [near]);
    return this.#messages.filter(({ topic }) => wanted.has(topic));
  }

  #trim(): void {
    const drop = Math.ceil(this.#messages.length / 4);
    for (const { payload } of this.#messages.splice(0, drop)) this.#bytes -= payload.length;
    this.#forgotten += drop;
  }
}
