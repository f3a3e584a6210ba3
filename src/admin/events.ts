import type { AdminContext } from './context.js';
import { denialRow, refusalRow } from './denials.js';
import { endedRow } from './ended-row.js';
import { jsonText } from './json-text.js';
import type { AdminRequest, Answer, Route, Sink } from './route.js';

/** What a reader may have in front of it; beyond that, events are lost and counted. */
const UNSENT_BYTES = 256 * 1024;
/** So that a reader, and whatever is between, sees that the broker is there. */
const BEAT_MS = 15_000;

/** What happens, as it happens: server-sent events, as browsers and many programs read them. */
export function eventRoutes({ parts, clock, streams }: AdminContext): readonly Route[] {
  function begin(sink: Sink, login: string | undefined): void {
    let lost = 0;
    const wanted = (whose: string | null) => login === undefined || whose === login;
    const send = (event: string, value: object) => {
      if (sink.unsentBytes > UNSENT_BYTES) {
        lost++;
        streams.dropped++;
        return;
      }
      if (lost > 0) {
        sink.write(`event: lost\ndata: ${jsonText({ events: lost })}\n\n`);
        lost = 0;
      }
      sink.write(`event: ${event}\ndata: ${jsonText(value)}\n\n`);
    };
    sink.write(': here\n\n');
    const stopListening = parts.history.listen({
      denied: (denial) => wanted(denial.login) && send('denied', denialRow(denial)),
      refused: (refusal) => wanted(refusal.login) && send('refused', refusalRow(refusal)),
      began: ({ n, login: whose, clientId: client }) => wanted(whose) && send('connected', { n, login: whose, client }),
      ended: (ended) => wanted(ended.login) && send('disconnected', endedRow(ended)),
    });
    const stopBeating = clock.every(BEAT_MS, () => {
      if (sink.unsentBytes === 0) sink.write(': still here\n\n');
    });
    streams.open++;
    sink.onClose(() => {
      streams.open--;
      stopListening();
      stopBeating();
    });
  }

  return [
    {
      method: 'GET',
      path: '/events',
      query: { login: { kind: 'text' } },
      answer: ({ query }: AdminRequest): Answer => ({
        kind: 'stream',
        type: 'text/event-stream',
        begin: (sink) => begin(sink, query.login as string | undefined),
      }),
    },
  ];
}
