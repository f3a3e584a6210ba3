import '../mqtt/buffer-slices.js';
import { isUtf8 } from 'node:buffer';
import { bracketHint, denialText } from '../acl/hint.js';
import type { Job } from '../fairness/job.js';
import { PUBACK, PUBCOMP, PUBREC } from '../mqtt/packets.js';
import { Publication } from '../mqtt/publication.js';
import { isValidTopicName } from '../mqtt/topics.js';
import type { Counters } from '../observe/counters.js';
import type { History } from '../observe/history.js';
import type { Log } from '../observe/log.js';
import type { RateLimited } from '../observe/rate-limited.js';
import type { Route, Router, RouteSearch } from '../routing/router.js';
import { Deque } from '../session/deque.js';
import { type Distribution, findRoute, NODES_PER_STEP } from '../session/distribution.js';
import type { Gate } from '../session/gate.js';
import { KNOWN_TOPIC_BYTES, type KnownTopic } from '../session/known-topics.js';
import type { Session } from '../session/session.js';
import type { Store } from '../store/contract.js';
import { Valve } from '../valve.js';
import type { Connection } from './connection.js';
import { ProtocolError } from './protocol-error.js';
import type { Wire } from './wire.js';

/** QoS 2 messages of one user that are received and not released; whoever goes on without releasing is closed. */
const RECEIVED_PER_USER = 262_144;

/** Answers that wait for the disk; a publisher with more of them is not read until half of them have left. */
const WAITING_ANSWERS = 8_192;
/** The same for the bytes of a user's messages that the store has and the disk has not. */
const STORING_BYTES = 8 * 1024 * 1024;

export interface PublishContext {
  readonly router: Router;
  readonly gate: Gate;
  readonly distribution: Distribution;
  readonly store: Store;
  readonly counters: Counters;
  readonly history: History;
  readonly log: Log;
  readonly noisyLog: RateLimited;
}

/** An answer that waits until its message is safe. Answers leave in the order of the messages [MQTT-4.6.0-2]. */
interface Answer {
  readonly type: number;
  readonly packetId: number;
  safe: boolean;
}

/** The publishing side of one connection: PUBLISH and PUBREL in, PUBACK, PUBREC and PUBCOMP out. */
export class PublishFlow {
  readonly #context: PublishContext;
  readonly #connection: Connection;
  readonly #session: Session;
  readonly #wire: Wire;
  readonly #answers = new Deque<Answer>();
  readonly #answersValve = new Valve();

  constructor(context: PublishContext, client: { connection: Connection; session: Session; wire: Wire }) {
    this.#context = context;
    this.#connection = client.connection;
    this.#session = client.session;
    this.#wire = client.wire;
  }

  /**
   * Handles one PUBLISH from the received bytes. Returns what it cost, in units of a delivery.
   *
   * Bench row "QoS 0, 10 users, 1 → 1": this function, the route and the outbox are what a message costs.
   */
  publish(chunk: Buffer, start: number, bodyStart: number, end: number): number {
    const { qos, retain, topicStart, topicEnd, packetId, payloadStart } = this.#wire.readPublish(
      chunk,
      start,
      bodyStart,
      end,
    );
    const context = this.#context;
    const session = this.#session;
    context.counters.messagesReceived++;
    this.#connection.traffic.publishesReceived++;

    const { topics } = session.account;
    const key = chunk.latin1Slice(topicStart, topicEnd);
    const known = topics.get(key) ?? this.#judge(key, chunk, topicStart, topicEnd);
    if (qos === 2 && !this.#receive(packetId)) return 1; // Received before: only the answer is due [MQTT-4.3.3-2].
    if (!known.allowed) {
      // The service acknowledges and drops. The packet id of QoS 2 takes part in the flow like any other.
      this.#deny(known.topic);
      if (qos !== 0) this.#answerAfterStore(qos === 1 ? PUBACK : PUBREC, packetId);
      return 1;
    }
    const publication = new Publication(
      chunk,
      start,
      topicStart - 2,
      topicEnd,
      payloadStart,
      end,
      known.topic,
      qos,
      retain,
      session,
      qos === 0 && !retain,
      qos === 2 && session.persistent,
    );
    let { route } = known;
    if (route === null || !route.current) {
      const search = context.router.search(known.topic);
      route = search.proceed(NODES_PER_STEP);
      if (route === null) {
        this.#connection.reader.perform(this.#publishWhenRouted(search, known, publication, packetId));
        return 1;
      }
      topics.setRoute(known, route);
    }
    this.#distribute(publication, packetId, route);
    return 1 + publication.deliveries + (publication.messageBytes >> 10);
  }

  /** Where a topic goes takes long to find. */
  *#publishWhenRouted(search: RouteSearch, known: KnownTopic, publication: Publication, packetId: number): Job {
    const route = yield* findRoute(search);
    this.#session.account.topics.setRoute(known, route);
    const job = this.#distribute(publication, packetId, route, false);
    if (job !== null) yield* job;
  }

  /** Distributes and answers: at once, or as a job that later frames wait for. */
  #distribute(publication: Publication, packetId: number, route: Route, performs = true): Job | null {
    const { store, distribution } = this.#context;
    const { qos, retain, safeFirst } = publication;
    const session = this.#session;
    if (store.fault !== null && (retain || safeFirst || (qos > 0 && route.keeps))) {
      // Not received, then: the client sends it again, and must not be told that it is known.
      if (safeFirst) session.deleteReceived(packetId);
      this.#connection.close('store-fault');
      return null;
    }
    if (safeFirst && !session.ended) {
      session.writer!.putIncoming(packetId);
      publication.needsStore().add();
    }
    const job = distribution.publish(publication, session.account, route);
    if (job === null) {
      this.#distributed(publication, packetId);
      return null;
    }
    const whole = this.#afterJob(job, publication, packetId);
    if (!performs) return whole;
    this.#connection.reader.perform(whole);
    return null;
  }

  *#afterJob(job: Job, publication: Publication, packetId: number): Job {
    yield* job;
    this.#distributed(publication, packetId);
  }

  #distributed(publication: Publication, packetId: number): void {
    this.#answer(publication, packetId);
    const { reader } = this.#connection;
    if (publication.valve !== null) reader.waitFor(publication.valve);
    if (this.#answers.length > WAITING_ANSWERS || this.#session.account.balances.storing.bytes > STORING_BYTES) {
      this.#answersValve.close();
      reader.waitFor(this.#answersValve);
    }
  }

  /** PUBREL: the packet id is free again, once that is on disk; then PUBCOMP [MQTT-4.3.3-2]. */
  pubrel(packetId: number): void {
    const session = this.#session;
    if (session.deleteReceived(packetId)) session.writer?.deleteIncoming(packetId);
    this.#answerAfterStore(PUBCOMP, packetId);
  }

  #answer({ qos, ticket, messageBytes }: Publication, packetId: number): void {
    const { distribution, store } = this.#context;
    const { storing } = this.#session.account.balances;
    if (ticket !== null) {
      storing.add(messageBytes);
      store.whenStored(() => {
        storing.add(-messageBytes);
        this.#openIfRoom();
      });
    }
    if (qos === 0) {
      if (ticket !== null) distribution.commit(ticket);
      return;
    }
    const type = qos === 1 ? PUBACK : PUBREC;
    if (ticket === null && this.#answers.length === 0) {
      this.#wire.acknowledge(this.#connection.outbox, type, packetId);
      return;
    }
    const answer: Answer = { type, packetId, safe: ticket === null };
    this.#answers.push(answer);
    if (ticket === null) return;
    ticket.whenSafe((failed) => this.#settle(answer, failed));
    distribution.commit(ticket);
  }

  /** Whoever waits for answers to leave goes on when half of them have. */
  #openIfRoom(): void {
    if (!this.#answersValve.closed || this.#answers.length > WAITING_ANSWERS / 2) return;
    if (this.#session.account.balances.storing.bytes <= STORING_BYTES / 2) this.#answersValve.open();
  }

  /** Notes a QoS 2 packet id. False when it is known already, and then answers. */
  #receive(packetId: number): boolean {
    const session = this.#session;
    if (session.hasReceived(packetId)) {
      this.#answerAfterStore(PUBREC, packetId);
      return false;
    }
    if (session.account.receivedMessages >= RECEIVED_PER_USER) {
      throw new ProtocolError('quota', `more than ${RECEIVED_PER_USER} QoS 2 messages without PUBREL`);
    }
    session.addReceived(packetId);
    return true;
  }

  /** Answers once everything before it is answered and, for a persistent session, what is known is on disk. */
  #answerAfterStore(type: number, packetId: number): void {
    const { store } = this.#context;
    const needsStore = this.#session.writer !== null && type !== PUBACK;
    if (this.#answers.length === 0 && (!needsStore || store.idle)) {
      this.#wire.acknowledge(this.#connection.outbox, type, packetId);
      return;
    }
    const answer: Answer = { type, packetId, safe: false };
    this.#answers.push(answer);
    if (needsStore) store.committed((fault) => this.#settle(answer, fault !== null));
    else this.#settle(answer, false);
  }

  #settle(answer: Answer, failed: boolean): void {
    if (failed) {
      this.#connection.close('store-fault');
      return;
    }
    answer.safe = true;
    for (let first = this.#answers.peek(); first?.safe; first = this.#answers.peek()) {
      this.#answers.shift();
      this.#wire.acknowledge(this.#connection.outbox, first.type, first.packetId);
    }
    this.#openIfRoom();
  }

  /** Checks a topic that the user publishes to for the first time, and asks the access rules. */
  #judge(key: string, chunk: Buffer, start: number, end: number): KnownTopic {
    const topic = chunk.utf8Slice(start, end);
    if (topic.includes('\uFFFD') && !isUtf8(chunk.subarray(start, end))) {
      throw new ProtocolError('MQTT-1.5.3-1', 'the topic is not UTF-8');
    }
    if (!isValidTopicName(topic)) throw new ProtocolError('MQTT-3.3.2-2', 'a topic that is empty or has a wildcard');
    const allowed = this.#context.gate.mayPublish(this.#session, topic);
    const known: KnownTopic = { topic, allowed, route: null, routeBytes: null };
    if (end - start <= KNOWN_TOPIC_BYTES) this.#session.account.topics.add(key, known);
    return known;
  }

  #deny(topic: string): void {
    const { counters, history, noisyLog, log } = this.#context;
    counters.publishesDenied++;
    const { login, clientId } = this.#session;
    history.denied(this.#session, 'publish', topic, 'denied', () => denialText(login, topic));
    noisyLog.user(login).line(`publish:${clientId}`, (suppressed) => {
      const hint = bracketHint(login, topic);
      log.warn(
        {
          login,
          client: clientId,
          topic: topic.slice(0, 200),
          ...(hint === null ? {} : { hint }),
          ...(suppressed > 0 ? { suppressed } : {}),
        },
        'publish denied',
      );
    });
  }
}
