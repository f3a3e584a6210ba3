import type { Connection } from '../connection/connection.js';
import { perform } from '../fairness/job.js';
import type { Publication } from '../mqtt/publication.js';
import type { Session } from '../session/session.js';
import type { AdminContext, TraceKeeper } from './context.js';
import { Refusal } from './route.js';
import { type Tap, TappedFrames, TappedOutlet } from './taps.js';
import { Trace, type TraceEvent, type TraceOrder } from './trace.js';

const MOST_AT_ONCE = 8;
/** Ended ones that are remembered. */
const REMEMBERED = 100;
const FLUSH_MS = 100;
/** A trace that nobody reads ends. */
const UNREAD_MS = 60_000;
/** What a trace may keep, and what is remembered of it. */
const BYTES_PER_TRACE = 300 * 1024;
const BYTES_REMEMBERED = 500;

const packetNames = [
  ...['reserved', 'CONNECT', 'CONNACK', 'PUBLISH', 'PUBACK', 'PUBREC', 'PUBREL', 'PUBCOMP'],
  ...['SUBSCRIBE', 'SUBACK', 'UNSUBSCRIBE', 'UNSUBACK', 'PINGREQ', 'PINGRESP', 'DISCONNECT', 'AUTH'],
];

type Context = Pick<AdminContext, 'parts' | 'clock' | 'streams' | 'cluster'>;

/**
 * Traces of users, several at once. Only the packets of who is traced pass through anything: the others' cost one look
 * at a list of listeners for each message, and nothing while nobody is traced.
 */
export class Traces implements TraceKeeper {
  readonly #context: Context;
  readonly #active = new Map<string, Trace>();
  readonly #ended: Trace[] = [];
  /** Logins that are traced, with what hears of them. */
  readonly #byLogin = new Map<string, Trace[]>();
  /** The last trace's number. */
  #last: number;
  #stop: (() => void) | null = null;

  constructor(context: Context) {
    this.#context = context;
    this.#last = context.cluster.shard;
  }

  /** Those that go on, and the last that have ended. */
  get list(): readonly Trace[] {
    return [...this.#active.values(), ...this.#ended];
  }

  get(id: string): Trace | undefined {
    return this.#active.get(id);
  }

  start(order: TraceOrder): Trace {
    if (this.#active.size >= MOST_AT_ONCE) {
      throw new Refusal(409, 'too-many-traces', `${MOST_AT_ONCE} traces are open; end one of them`);
    }
    const { clock, parts, streams, cluster } = this.#context;
    this.#last += cluster.shards;
    const trace = new Trace(
      String(this.#last),
      order,
      () => clock.epochMs(),
      (count) => {
        streams.dropped += count;
      },
    );
    parts.operators.balances.history.add(BYTES_PER_TRACE);
    this.#active.set(trace.id, trace);
    const others = this.#byLogin.get(order.login);
    if (others !== undefined) others.push(trace);
    else {
      this.#byLogin.set(order.login, [trace]);
      this.#tapUser(order.login);
    }
    this.#stop ??= this.#listen();
    return trace;
  }

  end(trace: Trace): void {
    if (!this.#active.delete(trace.id)) return;
    const { login } = trace.order;
    trace.end();
    const { history } = this.#context.parts.operators.balances;
    history.add(BYTES_REMEMBERED - BYTES_PER_TRACE);
    this.#ended.unshift(trace);
    if (this.#ended.length > REMEMBERED) {
      this.#ended.pop();
      history.add(-BYTES_REMEMBERED);
    }
    const left = this.#byLogin.get(login)!.filter((other) => other !== trace);
    if (left.length > 0) {
      this.#byLogin.set(login, left);
      return;
    }
    this.#byLogin.delete(login);
    this.#untapUser(login);
    if (this.#active.size > 0) return;
    this.#stop?.();
    this.#stop = null;
  }

  forget(login: string): void {
    for (const trace of [...this.#active.values()]) if (trace.order.login === login) this.end(trace);
    for (let i = this.#ended.length - 1; i >= 0; i--) {
      if (this.#ended[i]!.order.login !== login) continue;
      this.#ended.splice(i, 1);
      this.#context.parts.operators.balances.history.add(-BYTES_REMEMBERED);
    }
  }

  close(): void {
    for (const trace of [...this.#active.values()]) this.end(trace);
  }

  #tell(login: string, event: TraceEvent): void {
    const traces = this.#byLogin.get(login);
    if (traces !== undefined) for (const trace of traces) trace.tell(event);
  }

  /** What happens to whom, while there is a trace. */
  #listen(): () => void {
    const { parts, clock } = this.#context;
    const published = (publication: Publication) => this.#published(publication);
    parts.distribution.onPublication(published);
    const stopHistory = parts.history.listen({
      denied: ({ login, clientId: client, action, topic, reason, hint }) =>
        this.#tell(login, { event: 'denied', client, topic, action, reason, hint }),
      began: ({ n, login, clientId: client }) => {
        if (!this.#byLogin.has(login)) return;
        this.#tell(login, { event: 'connected', client, connection: n });
        for (const connection of parts.connections) if (connection.n === n) this.#tapConnection(connection);
        const session = parts.sessions.get(login, client);
        if (session !== undefined) this.#tapSession(session);
      },
      ended: ({ n, login, clientId: client, reason, detail }) =>
        this.#tell(login, { event: 'disconnected', client, connection: n, reason, detail }),
    });
    const stopFlushing = clock.every(FLUSH_MS, () => this.#flush());
    return () => {
      parts.distribution.offPublication(published);
      stopHistory();
      stopFlushing();
    };
  }

  #published(publication: Publication): void {
    const { login, clientId } = publication.publisher;
    if (!this.#byLogin.has(login)) return;
    const { topic, qos, retain, payloadBytes: bytes, deliveries: receivers, payload } = publication;
    this.#tell(login, { event: 'published', client: clientId ?? '', topic, qos, retain, bytes, receivers, payload });
  }

  #flush(): void {
    const { parts, clock } = this.#context;
    const now = clock.epochMs();
    const active = [...this.#active.values()];
    for (const trace of active) {
      const unread = !trace.hasReader && now - trace.startedAt > UNREAD_MS;
      if (unread || now >= trace.endsAt) this.end(trace);
    }
    perform(
      (function* () {
        for (const trace of active) {
          if (trace.endedAt === null) trace.flush();
          yield;
        }
      })(),
      parts.operators,
      parts.scheduler,
    );
  }

  #tapUser(login: string): void {
    const { sessions, connections } = this.#context.parts;
    for (const session of sessions.values()) if (session.login === login) this.#tapSession(session);
    for (const connection of connections) if (connection.client?.login === login) this.#tapConnection(connection);
  }

  #untapUser(login: string): void {
    const { sessions, connections } = this.#context.parts;
    for (const session of sessions.values()) if (session.login === login) session.outgoing.sender.sendThrough(null);
    for (const { client, reader, closed } of connections) {
      if (client?.login === login && !closed) reader.handler = client;
    }
  }

  #tapSession(session: Session): void {
    const tap = this.#tapOf(session.login, session.clientId);
    session.outgoing.sender.sendThrough((outlet) => new TappedOutlet(outlet, tap));
  }

  #tapConnection({ client, reader, closed }: Connection): void {
    if (client === null || closed) return;
    const tap = this.#tapOf(client.login, client.clientId);
    reader.handler = new TappedFrames(client, tap, client.wire.version === '5');
  }

  #tapOf(login: string, client: string): Tap {
    return {
      came: (type, bytes, filters) =>
        this.#tell(login, {
          ...{ event: 'packet', client, packet: packetNames[type] ?? '', bytes },
          ...(filters !== null && { filters }),
        }),
      left: ({ topic, payload, qos, retain, dup }) =>
        this.#tell(login, { event: 'sent', client, topic, qos, retain, dup, bytes: payload.length, payload }),
    };
  }
}
