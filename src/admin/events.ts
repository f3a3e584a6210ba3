import type { AdminContext } from './context.js';
import { denialRow, refusalRow } from './denials.js';
import { endedRow } from './ended-row.js';
import { EventSender } from './event-sender.js';
import type { AdminRequest, Answer, Route, Sink } from './route.js';

/** What happens, as it happens: server-sent events, as browsers and many programs read them. */
export function eventRoutes({ parts, clock, streams }: AdminContext): readonly Route[] {
  function begin(sink: Sink, login: string | undefined): void {
    const wanted = (whose: string | null) => login === undefined || whose === login;
    const sender = new EventSender(sink, streams, clock);
    const { send } = sender;
    const stopListening = parts.history.listen({
      denied: (denial) => wanted(denial.login) && send('denied', denialRow(denial)),
      refused: (refusal) => wanted(refusal.login) && send('refused', refusalRow(refusal)),
      began: ({ n, login: whose, clientId: client }) => wanted(whose) && send('connected', { n, login: whose, client }),
      ended: (ended) => wanted(ended.login) && send('disconnected', endedRow(ended)),
    });
    sink.onClose(() => {
      sender.close();
      stopListening();
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
