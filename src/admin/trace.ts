import { topicMatchesFilter } from '../mqtt/topics.js';
import { jsonText } from '../observe/json-text.js';
import type { Sink } from './route.js';

/** What a trace is about, and for how long. */
export interface TraceOrder {
  readonly login: string;
  /** Only this client. */
  readonly client: string | null;
  /** Only what has a topic that this filter matches. */
  readonly topic: string | null;
  /** Show the beginning of payloads. */
  readonly payload: boolean;
  readonly seconds: number;
}

/** What happened, as it is told. Without a topic it is told whatever topics are wanted. */
export interface TraceEvent {
  readonly event: string;
  readonly client: string;
  readonly topic?: string;
  readonly payload?: Buffer;
  readonly [field: string]: unknown;
}

/** What waits for the reader. Beyond it, events are counted and lost. */
const BUFFER_BYTES = 256 * 1024;
/** Of events beyond that within a tenth of a second the same is true: nobody reads them, and they cost the user. */
const EVENTS_PER_FLUSH = 500;
const PAYLOAD_BYTES = 256;
/** What a reader may have in front of it. */
const UNSENT_BYTES = 1024 * 1024;

/** One trace: from its order to its end, or to that of its reader. */
export class Trace {
  readonly id: string;
  readonly order: TraceOrder;
  readonly startedAt: number;
  readonly endsAt: number;
  events = 0;
  dropped = 0;
  /** When it ended; null while it goes on. */
  endedAt: number | null = null;
  readonly #now: () => number;
  readonly #onDropped: (count: number) => void;
  #sink: Sink | null = null;
  #lines: string[] = [];
  #bytes = 0;
  /** Lost since the last flush. */
  #lost = 0;

  constructor(id: string, order: TraceOrder, now: () => number, onDropped: (count: number) => void) {
    this.id = id;
    this.order = order;
    this.#now = now;
    this.#onDropped = onDropped;
    this.startedAt = now();
    this.endsAt = this.startedAt + order.seconds * 1_000;
  }

  get hasReader(): boolean {
    return this.#sink !== null;
  }

  /** What it keeps now. */
  get bufferedBytes(): number {
    return this.#bytes;
  }

  /** False when somebody reads it already. */
  read(sink: Sink): boolean {
    if (this.#sink !== null) return false;
    this.#sink = sink;
    this.flush();
    return true;
  }

  /** Cheap when it is not wanted, or when there is more than anybody reads. */
  tell(event: TraceEvent): void {
    const { client, topic } = this.order;
    if (client !== null && event.client !== client) return;
    if (topic !== null && event.topic !== undefined && !topicMatchesFilter(event.topic, topic)) return;
    if (this.#lines.length >= EVENTS_PER_FLUSH || this.#bytes > BUFFER_BYTES) {
      this.#lost++;
      return;
    }
    const { payload, topic: about, ...rest } = event;
    const shown = this.order.payload && payload !== undefined ? { payload: excerpt(payload) } : {};
    const line = `${jsonText({
      ...{ time: new Date(this.#now()).toISOString(), ...rest },
      ...(about === undefined ? {} : { topic: cut(about) }),
      ...shown,
    })}\n`;
    this.events++;
    this.#lines.push(line);
    this.#bytes += line.length;
  }

  /** Hands over what waits, if there is a reader that reads. */
  flush(): void {
    const sink = this.#sink;
    if (sink === null || sink.unsentBytes > UNSENT_BYTES) return;
    if (this.#lost > 0) {
      this.dropped += this.#lost;
      this.#onDropped(this.#lost);
      this.#lines.push(
        `${jsonText({ time: new Date(this.#now()).toISOString(), event: 'lost', events: this.#lost })}\n`,
      );
      this.#lost = 0;
    }
    if (this.#lines.length === 0) return;
    sink.write(this.#lines.join(''));
    this.#lines = [];
    this.#bytes = 0;
  }

  end(): void {
    if (this.endedAt !== null) return;
    this.flush();
    this.endedAt = this.#now();
    this.#lines = [];
    this.#bytes = 0;
    this.#sink?.end();
  }
}

/** Text as text, anything else as hexadecimal. */
function excerpt(payload: Buffer): string {
  const start = payload.subarray(0, PAYLOAD_BYTES);
  const text = start.toString('utf8');
  const rest = payload.length > PAYLOAD_BYTES ? '…' : '';
  // A character that the cut went through is no sign of bytes that are no text.
  const isText = !text.slice(0, -1).includes('\uFFFD');
  return `${isText ? text : `0x${start.toString('hex')}`}${rest}`;
}

function cut(topic: string): string {
  return topic.length > 512 ? `${topic.slice(0, 512)}…` : topic;
}
