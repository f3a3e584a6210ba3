import { isValidTopicFilter } from '../mqtt/topics.js';
import type { AdminContext } from './context.js';
import { dateOf } from './dates.js';
import { type AdminRequest, type Answer, json, notFound, Refusal, type Route } from './route.js';
import type { Trace, TraceOrder } from './trace.js';

const DEFAULT_SECONDS = 600;
const LONGEST_SECONDS = 3_600;

/** Traces: who is traced is in the audit log, and whether payloads were to be seen. */
export function traceRoutes({ traces, streams }: AdminContext): readonly Route[] {
  const find = (id: string): Trace => {
    const trace = traces.get(id);
    if (trace === undefined) throw notFound(`there is no trace ${id} that goes on`);
    return trace;
  };

  function stream({ params }: AdminRequest): Answer {
    const trace = find(params.id!);
    if (trace.hasReader) throw new Refusal(409, 'taken', 'somebody reads this trace already');
    return {
      kind: 'stream',
      type: 'application/x-ndjson',
      begin: (sink) => {
        if (!trace.read(sink)) return sink.end();
        streams.open++;
        sink.onClose(() => {
          streams.open--;
          traces.end(trace);
        });
      },
    };
  }

  return [
    { method: 'GET', path: '/traces', answer: () => json({ traces: traces.list.map(traceRow) }) },
    { method: 'POST', path: '/traces', answer: ({ body }) => json(traceRow(traces.start(orderOf(body)))) },
    { method: 'GET', path: '/traces/{id}/stream', answer: stream },
    {
      method: 'DELETE',
      path: '/traces/{id}',
      answer: ({ params }) => {
        const trace = find(params.id!);
        traces.end(trace);
        return json(traceRow(trace));
      },
    },
  ];
}

function orderOf(body: AdminRequest['body']): TraceOrder {
  const { login, client = null, topic = null, payload = false, seconds = DEFAULT_SECONDS, ...others } = body;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw badBody(`${JSON.stringify(unknown)} is not known here`);
  if (typeof login !== 'string' || login === '') throw badBody('login is missing');
  if (client !== null && typeof client !== 'string') throw badBody('client is a client id');
  if (topic !== null && (typeof topic !== 'string' || !isValidTopicFilter(topic))) {
    throw badBody('topic is a topic filter');
  }
  if (typeof payload !== 'boolean') throw badBody('payload is true or false');
  if (!Number.isSafeInteger(seconds) || (seconds as number) < 1 || (seconds as number) > LONGEST_SECONDS) {
    throw badBody(`seconds is a whole number from 1 to ${LONGEST_SECONDS}`);
  }
  return { login, client, topic, payload, seconds: seconds as number };
}

function badBody(message: string): Refusal {
  return new Refusal(400, 'bad-body', message);
}

function traceRow({ id, order, startedAt, endsAt, endedAt, events, dropped }: Trace) {
  const { login, client, topic, payload } = order;
  return {
    ...{ id, login, client, topic, payload, since: dateOf(startedAt), until: dateOf(endedAt ?? endsAt) },
    ...{ ended: endedAt !== null, events, lost: dropped },
  };
}
