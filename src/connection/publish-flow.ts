import type { Clock } from '../clock.js';
import type { LimitsConfig } from '../config/config.js';
import type { Job } from '../fairness/job.js';
import type { Scheduler } from '../fairness/scheduler.js';
import { PUBACK, PUBCOMP, PUBREC, type Qos } from '../mqtt/packets.js';
import { Publication } from '../mqtt/publication.js';
import { Reason, type ReasonCode } from '../mqtt/reason-codes.js';
import type { Route, Router, RouteSearch } from '../routing/router.js';
import { type Distribution, findRoute, NODES_PER_STEP } from '../session/distribution.js';
import type { Gate } from '../session/gate.js';
import type { KnownTopic } from '../session/known-topics.js';
import type { Session } from '../session/session.js';
import type { Store } from '../store/contract.js';
import { Valve } from '../valve.js';
import { AnswerQueue } from './answer-queue.js';
import type { Connection } from './connection.js';
import { type DenialContext, publishHelp, tellPublishDenied } from './denials.js';
import { ProtocolError } from './protocol-error.js';
import { PublishTopics } from './publish-topics.js';
import type { PublishHead, Wire } from './wire.js';

/** QoS 2 messages of one user that are received and not released; whoever goes on without releasing is closed. */
const RECEIVED_PER_USER = 262_144;

/** Answers that wait for the disk; a publisher with more of them is not read until half of them have left. */
const WAITING_ANSWERS = 8_192;

export interface PublishContext extends DenialContext {
  readonly router: Router;
  readonly gate: Gate;
  readonly distribution: Distribution;
  readonly store: Store;
  readonly clock: Clock;
  readonly limits: LimitsConfig;
  readonly scheduler: Scheduler;
}

/** Why a message is not taken: MQTT 5 says it, earlier versions acknowledge and drop. */
type Refusal = { readonly code: ReasonCode; readonly text: string };

/** The publishing side of one connection: PUBLISH and PUBREL in, PUBACK, PUBREC and PUBCOMP out. */
export class PublishFlow {
  readonly #context: PublishContext;
  readonly #connection: Connection;
  readonly #session: Session;
  readonly #wire: Wire;
  readonly #answers: AnswerQueue;
  readonly #answersValve = new Valve();
  readonly #version5: boolean;
  readonly #longBytes: number;
  readonly #topics: PublishTopics;
  /** The one to be filled next; null while a job goes on with it, and before the first message. */
  #publication: Publication | null = null;

  constructor(context: PublishContext, client: { connection: Connection; session: Session; wire: Wire }) {
    this.#context = context;
    this.#connection = client.connection;
    this.#session = client.session;
    this.#wire = client.wire;
    this.#version5 = client.wire.level === 5;
    this.#longBytes = context.store.longBytes;
    this.#topics = new PublishTopics(context.gate, client.session);
    this.#answers = new AnswerQueue({ ...context, ...client, onLeft: () => this.#openIfRoom() });
  }

  /**
   * Handles one PUBLISH from the received bytes. Returns what it cost, in units of a delivery.
   *
   * Bench row "QoS 0, 10 users, 1 → 1": this function, the route and the outbox are what a message costs.
   */
  publish(chunk: Buffer, start: number, bodyStart: number, end: number): number {
    const head = this.#wire.readPublish(chunk, start, bodyStart, end);
    const { qos, retain, topicStart, topicEnd, packetId, whole } = head;
    const context = this.#context;
    const session = this.#session;
    const { counters } = context;
    counters.publishesReceived[qos]++;
    counters.publishReceivedBytes += head.end - head.payloadStart;
    this.#connection.traffic.publishReceived();

    const known = this.#topics.find(head.chunk, topicStart, topicEnd);
    if (qos === 1) this.#open();
    else if (qos === 2 && !this.#receive(packetId)) return 1; // Received before: only the answer is due [MQTT-4.3.3-2].
    if (!known.allowed || head.responseTopic !== null || retain) {
      const refusal = this.#whyNot(head, known);
      if (refusal !== null) return this.#refuse(refusal, qos, packetId);
    }
    counters.publishesAllowed++;
    const publication = (this.#publication ?? new Publication()).begin(
      head.chunk,
      start,
      topicStart - 2,
      topicEnd,
      head.payloadStart,
      head.end,
      known.topic,
      qos,
      retain,
      session,
      qos === 0 && !retain && whole,
      qos === 2 && session.persistent,
      head.properties,
      head.expirySeconds,
      this.#version5 && whole,
      head.expirySeconds < 0 ? 0 : context.clock.epochMs(),
    );
    let { route } = known;
    if (route === null || !route.current) {
      const search = context.router.search(known.topic);
      route = search.proceed(NODES_PER_STEP);
      if (route === null) {
        return this.#goOn(this.#publishWhenRouted(search, known, publication, packetId), qos === 2 ? packetId : 0);
      }
      session.account.topics.setRoute(known, route);
    }
    const job = this.#distribute(publication, packetId, route);
    const units = 1 + publication.deliveries + (publication.messageBytes >> 10);
    if (job !== null) return this.#goOn(job, qos === 2 ? packetId : 0, units);
    publication.over();
    this.#publication = publication;
    return units;
  }

  /** What is to be done with a message takes longer: later frames wait. The publication is the job's. */
  #goOn(job: Job, qos2Id: number, units = 1): number {
    this.#publication = null;
    this.#connection.reader.perform(qos2Id === 0 ? job : this.#session.receiving(job, qos2Id));
    return units;
  }

  /** It came again, on another connection than the one that it came on first, before that was distributed. */
  *#answerWhenReceived(valve: Valve, packetId: number): Job {
    while (valve.closed) yield valve;
    if (this.#session.hasReceived(packetId)) this.#answers.afterStore(PUBREC, packetId);
    else this.#connection.close('internal-error');
  }

  /** Where a topic goes takes long to find. */
  *#publishWhenRouted(search: RouteSearch, known: KnownTopic, publication: Publication, packetId: number): Job {
    const route = yield* findRoute(search);
    this.#session.account.topics.setRoute(known, route);
    const job = this.#distribute(publication, packetId, route);
    if (job !== null) yield* job;
  }

  /** Distributes and answers: at once, or by the job that it returns. */
  #distribute(publication: Publication, packetId: number, route: Route): Job | null {
    const { store, distribution } = this.#context;
    const { qos, retain, safeFirst } = publication;
    const session = this.#session;
    if (store.fault !== null && (retain || safeFirst || (qos > 0 && route.keeps))) {
      // Not received, then: the client sends it again, and must not be told that it is known.
      if (safeFirst) session.deleteReceived(packetId);
      this.#connection.close('store-fault');
      return null;
    }
    const { storing } = session.account;
    if (storing.valve.closed && (retain || safeFirst || (qos > 0 && route.keeps))) {
      return this.#distributeWhenRoom(publication, packetId, route);
    }
    if (publication.messageBytes > this.#longBytes) {
      const preparing = distribution.prepare(publication, session.account, route);
      if (preparing !== null) return this.#distributeAfter(publication, packetId, route, preparing);
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
    return this.#afterJob(job, publication, packetId);
  }

  /** Too much of the user's is on its way to the disk. */
  *#distributeWhenRoom(publication: Publication, packetId: number, route: Route): Job {
    const { storing, balances } = this.#session.account;
    const { messageBytes } = publication;
    balances.jobs.add(messageBytes);
    try {
      while (storing.valve.closed) yield storing.valve;
    } finally {
      balances.jobs.add(-messageBytes);
    }
    yield* this.#distributeAfter(publication, packetId, route);
  }

  *#distributeAfter(publication: Publication, packetId: number, route: Route, preparing: Job | null = null): Job {
    // A long one is written apart first.
    if (preparing !== null) yield* preparing;
    const current = route.current ? route : yield* findRoute(this.#context.router.search(publication.topic));
    const job = this.#distribute(publication, packetId, current);
    if (job !== null) yield* job;
  }

  *#afterJob(job: Job, publication: Publication, packetId: number): Job {
    yield* job;
    this.#distributed(publication, packetId);
  }

  #distributed(publication: Publication, packetId: number): void {
    if (publication.deliveries === 0) this.#context.counters.publishesUnrouted++;
    this.#answer(publication, packetId);
    const { reader } = this.#connection;
    if (publication.valve !== null) reader.waitFor(publication.valve);
    if (this.#answers.length > WAITING_ANSWERS) {
      this.#answersValve.close();
      reader.waitFor(this.#answersValve);
    }
  }

  /** PUBREL: the packet id is free again, once that is on disk; then PUBCOMP [MQTT-4.3.3-2]. */
  pubrel(packetId: number): void {
    const session = this.#session;
    const known = session.deleteReceived(packetId);
    if (known) session.writer?.deleteIncoming(packetId);
    this.#answers.afterStore(PUBCOMP, packetId, known ? Reason.SUCCESS : Reason.PACKET_IDENTIFIER_NOT_FOUND);
  }

  #answer({ qos, ticket, messageBytes, deliveries }: Publication, packetId: number): void {
    if (ticket !== null) this.#session.account.storing.charge(messageBytes, ticket);
    if (qos > 0) {
      const code = deliveries === 0 ? Reason.NO_MATCHING_SUBSCRIBERS : Reason.SUCCESS;
      this.#answers.whenSafe(ticket, qos === 1 ? PUBACK : PUBREC, packetId, code);
    }
    if (ticket !== null) this.#context.distribution.commit(ticket);
  }

  /** Whoever waits for answers to leave goes on when half of them have. */
  #openIfRoom(): void {
    if (this.#answersValve.closed && this.#answers.length <= WAITING_ANSWERS / 2) this.#answersValve.open();
  }

  /** One more message that is owed an answer. A client of MQTT 5 was told how many there may be [MQTT-3.3.4-9]. */
  #open(): void {
    const { receiveMaximum } = this.#context.limits;
    if (++this.#answers.open <= receiveMaximum || !this.#version5) return;
    throw new ProtocolError(
      'MQTT-3.3.4-9',
      `more than ${receiveMaximum} messages of QoS 1 and 2 whose flow is not over`,
      Reason.RECEIVE_MAXIMUM_EXCEEDED,
    );
  }

  /** Notes a QoS 2 packet id. False when it is known already, and then answers. */
  #receive(packetId: number): boolean {
    const session = this.#session;
    if (session.hasReceived(packetId)) {
      const valve = session.whileReceiving(packetId);
      if (valve === undefined) this.#answers.afterStore(PUBREC, packetId);
      else this.#connection.reader.perform(this.#answerWhenReceived(valve, packetId));
      return false;
    }
    if (session.account.receivedMessages >= RECEIVED_PER_USER) {
      throw new ProtocolError('quota', `more than ${RECEIVED_PER_USER} QoS 2 messages without PUBREL`);
    }
    this.#open();
    session.addReceived(packetId);
    return true;
  }

  /**
   * Why a message is not taken, besides its form. Of retained ones that do not fit, clients of earlier versions are not
   * told: theirs are delivered and not kept.
   */
  #whyNot(
    { qos, retain, responseTopic, payloadStart, end, properties }: PublishHead,
    known: KnownTopic,
  ): Refusal | null {
    if (!known.allowed) {
      tellPublishDenied(this.#context, this.#session, known.topic);
      return { code: Reason.NOT_AUTHORIZED, text: publishHelp(this.#context, this.#session, known.topic) };
    }
    // Nobody who gets the message could answer there.
    if (responseTopic !== null && !this.#context.gate.mayPublish(this.#session, responseTopic)) {
      tellPublishDenied(this.#context, this.#session, responseTopic);
      const help = publishHelp(this.#context, this.#session, responseTopic);
      return { code: Reason.NOT_AUTHORIZED, text: `Response Topic: ${help}` };
    }
    if (!retain || qos === 0 || !this.#version5 || end === payloadStart) return null;
    const bytes = end - payloadStart + (properties?.length ?? 0);
    if (this.#context.distribution.mayRetain(known.topic, bytes, this.#session.account)) return null;
    return { code: Reason.QUOTA_EXCEEDED, text: 'the limit of your retained messages is reached: delete some' };
  }

  /** The service acknowledges and drops. In MQTT 5 a refused QoS 2 message ends its flow (4.3.3). */
  #refuse({ code, text }: Refusal, qos: Qos, packetId: number): number {
    if (qos === 2 && this.#version5) this.#session.deleteReceived(packetId);
    if (qos > 0) this.#answers.afterStore(qos === 1 ? PUBACK : PUBREC, packetId, code, text);
    return 1;
  }
}
