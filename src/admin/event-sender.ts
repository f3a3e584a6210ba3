import type { Clock } from '../clock.js';
import { jsonText } from '../observe/json-text.js';
import type { StreamCounts } from './context.js';
import type { Sink } from './route.js';

/** What a reader may have in front of it; beyond that, events are lost and counted. */
export const UNSENT_EVENT_BYTES = 256 * 1024;
/** So that a reader, and whatever is between, sees that the broker is there. */
const BEAT_MS = 15_000;

export function eventText(event: string, value: object): string {
  return `event: ${event}\ndata: ${jsonText(value)}\n\n`;
}

/** Server-sent events to one reader, for whom nobody waits. */
export class EventSender {
  readonly #sink: Sink;
  readonly #streams: StreamCounts;
  readonly #stopBeating: () => void;
  #lost = 0;

  constructor(sink: Sink, streams: StreamCounts, clock: Clock) {
    this.#sink = sink;
    this.#streams = streams;
    sink.write(': here\n\n');
    this.#stopBeating = clock.every(BEAT_MS, () => {
      if (sink.unsentBytes === 0) sink.write(': still here\n\n');
    });
    streams.open++;
  }

  readonly send = (event: string, value: object): void => this.sendText(eventText(event, value), 1);

  /** So many events at once, each as `eventText` has made it. */
  sendText(text: string, events: number): void {
    const sink = this.#sink;
    if (sink.unsentBytes > UNSENT_EVENT_BYTES) {
      this.#lost += events;
      this.#streams.dropped += events;
      return;
    }
    const lost = this.#lost === 0 ? '' : eventText('lost', { events: this.#lost });
    this.#lost = 0;
    sink.write(lost + text);
  }

  /** The reader is gone. */
  close(): void {
    this.#streams.open--;
    this.#stopBeating();
  }
}
