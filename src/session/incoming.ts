import '../mqtt/buffer-slices.js';
import { isUtf8 } from 'node:buffer';
import { bracketHint } from '../acl/hint.js';
import { PUBACK, PUBCOMP, PUBREC, type Qos } from '../mqtt/packets.js';
import { type PressurePoint, Publication } from '../mqtt/publication.js';
import { isValidTopicName } from '../mqtt/topics.js';
import type { Route } from '../routing/router.js';
import { ProtocolError } from './codec.js';
import type { Connection } from './connection.js';
import { Deque } from './deque.js';
import type { Services } from './services.js';
import type { Session } from './session.js';

const PUBACK_HEAD = PUBACK << 4;
const PUBREC_HEAD = PUBREC << 4;
const PUBCOMP_HEAD = PUBCOMP << 4;
/** Topics that a connection remembers the decision and the route for. */
const KNOWN_TOPICS = 512;
/** Longer topics are judged each time: remembering them would let a client fill the memory with names. */
const KNOWN_TOPIC_BYTES = 512;
/** QoS 2 messages of one user that are received and not released; whoever goes on without releasing is closed. */
const INCOMING_PER_USER = 262_144;

/** Answers that wait for the disk; a publisher with more of them is not read until half of them have left. */
const WAITING_ANSWERS = 8_192;

/** What is known about a topic that this connection has published to. */
interface KnownTopic {
  readonly topic: string;
  readonly allowed: boolean;
  route: Route | null;
}

/** An answer that waits until its message is safe. Answers leave in the order of the messages [MQTT-4.6.0-2]. */
interface Answer {
  readonly head: number;
  readonly packetId: number;
  safe: boolean;
}

/** The publishing side of one connection: PUBLISH and PUBREL in, PUBACK, PUBREC and PUBCOMP out. */
export class Incoming implements PressurePoint {
  private readonly connection: Connection;
  private readonly services: Services;
  private readonly session: Session;
  private readonly topics = new Map<string, KnownTopic>();
  private readonly answers = new Deque<Answer>();
  private relieved: (() => void) | null = null;

  constructor(connection: Connection, services: Services, session: Session) {
    this.connection = connection;
    this.services = services;
    this.session = session;
  }

  /**
   * Handles one PUBLISH from the received bytes. Returns what it cost, in units of a delivery.
   *
   * Bench row "QoS 0, 10 users, 1 → 1": this function, the route and the outbox are what a message costs.
   */
  publish(chunk: Buffer, start: number, bodyStart: number, end: number): number {
    const flags = chunk[start]!;
    const qos = ((flags >> 1) & 3) as Qos | 3;
    if (qos === 3) throw new ProtocolError('MQTT-3.3.1-4', 'PUBLISH with QoS 3');
    if (qos === 0 && flags & 8) throw new ProtocolError('MQTT-3.3.1-2', 'PUBLISH with DUP at QoS 0');
    if (bodyStart + 2 > end) throw new ProtocolError('malformed', 'PUBLISH without a topic');
    const topicEnd = bodyStart + 2 + ((chunk[bodyStart]! << 8) | chunk[bodyStart + 1]!);
    const payloadStart = qos === 0 ? topicEnd : topicEnd + 2;
    if (payloadStart > end) throw new ProtocolError('malformed', 'PUBLISH ends within its topic or packet id');
    this.services.counters.messagesReceived++;

    const key = chunk.latin1Slice(bodyStart + 2, topicEnd);
    const known = this.topics.get(key) ?? this.judge(key, chunk, bodyStart + 2, topicEnd);
    let packetId = 0;
    if (qos !== 0) {
      packetId = (chunk[topicEnd]! << 8) | chunk[topicEnd + 1]!;
      if (packetId === 0) throw new ProtocolError('MQTT-2.3.1-1', 'PUBLISH with packet id 0');
      if (qos === 2 && !this.receive(packetId)) return 1; // Received before: only the answer is due [MQTT-4.3.3-2].
    }
    if (!known.allowed) {
      // The service acknowledges and drops. The packet id of QoS 2 takes part in the flow like any other.
      this.deny(known.topic);
      if (qos !== 0) this.answerAfterStore(qos === 1 ? PUBACK_HEAD : PUBREC_HEAD, packetId);
      return 1;
    }
    let { route } = known;
    let cost = 1;
    if (route === null || !route.current) {
      route = this.services.router.route(known.topic);
      known.route = route;
      cost += route.cost;
    }
    const retain = (flags & 1) === 1;
    const hold = qos === 2 && this.session.persistent;
    if (this.services.store.fault !== null && (retain || hold || (qos > 0 && route.persistent.length > 0))) {
      // Not received, then: the client sends it again, and must not be told that it is known.
      if (hold) this.session.deleteIncoming(packetId);
      this.connection.close('store-fault');
      return cost;
    }
    const publication = new Publication(
      chunk,
      start,
      bodyStart,
      topicEnd,
      payloadStart,
      end,
      known.topic,
      qos,
      retain,
      this.session.login,
      qos === 0 && !retain,
      hold,
    );
    publication.route = route;
    if (hold) {
      this.session.writer!.putIncoming(packetId);
      publication.needsStore().add();
    }
    this.services.hub.send(publication, this.connection);
    this.services.counters.messagesDelivered += publication.deliveries;
    const { ticket } = publication;
    if (qos === 0) {
      if (ticket !== null) this.services.hub.commit(ticket);
    } else {
      const head = qos === 1 ? PUBACK_HEAD : PUBREC_HEAD;
      if (ticket === null && this.answers.length === 0) {
        this.connection.outbox.acknowledge(head, packetId);
      } else {
        const answer: Answer = { head, packetId, safe: ticket === null };
        this.answers.push(answer);
        if (ticket !== null) {
          ticket.whenSafe((failed) => this.settle(answer, failed));
          this.services.hub.commit(ticket);
        }
      }
    }
    if (this.answers.length > WAITING_ANSWERS) this.connection.slowDown(this);
    else if (publication.pressure !== null) this.connection.slowDown(publication.pressure);
    return cost + publication.deliveries;
  }

  /** PUBREL: the packet id is free again, once that is on disk; then PUBCOMP [MQTT-4.3.3-2]. */
  pubrel(packetId: number): void {
    const { session } = this;
    if (session.deleteIncoming(packetId)) session.writer?.deleteIncoming(packetId);
    this.answerAfterStore(PUBCOMP_HEAD, packetId);
  }

  /** Calls back when half of the waiting answers have left. */
  whenRelieved(callback: () => void): void {
    this.relieved = callback;
  }

  /** Notes a QoS 2 packet id. False when it is known already, and then answers. */
  private receive(packetId: number): boolean {
    const { session } = this;
    if (session.hasIncoming(packetId)) {
      this.answerAfterStore(PUBREC_HEAD, packetId);
      return false;
    }
    if (session.account.incomingMessages >= INCOMING_PER_USER) {
      throw new ProtocolError('quota', `more than ${INCOMING_PER_USER} QoS 2 messages without PUBREL`);
    }
    session.addIncoming(packetId);
    return true;
  }

  /** Answers once everything before it is answered and, for a persistent session, what is known is on disk. */
  private answerAfterStore(head: number, packetId: number): void {
    const { store } = this.services;
    if (this.answers.length === 0 && (this.session.writer === null || head === PUBACK_HEAD || store.idle)) {
      this.connection.outbox.acknowledge(head, packetId);
      return;
    }
    const answer: Answer = { head, packetId, safe: false };
    this.answers.push(answer);
    if (this.session.writer === null || head === PUBACK_HEAD) this.settle(answer, false);
    else store.committed((fault) => this.settle(answer, fault !== null));
  }

  private settle(answer: Answer, failed: boolean): void {
    if (failed) {
      this.connection.close('store-fault');
      return;
    }
    answer.safe = true;
    for (let first = this.answers.peek(); first?.safe; first = this.answers.peek()) {
      this.answers.shift();
      this.connection.outbox.acknowledge(first.head, first.packetId);
    }
    const { relieved } = this;
    if (relieved === null || this.answers.length > WAITING_ANSWERS / 2) return;
    this.relieved = null;
    relieved();
  }

  /** Checks a topic that this connection publishes to for the first time, and asks the access rules. */
  private judge(key: string, chunk: Buffer, start: number, end: number): KnownTopic {
    const topic = chunk.utf8Slice(start, end);
    if (topic.includes('\uFFFD') && !isUtf8(chunk.subarray(start, end))) {
      throw new ProtocolError('MQTT-1.5.3-1', 'the topic is not UTF-8');
    }
    if (!isValidTopicName(topic)) throw new ProtocolError('MQTT-3.3.2-2', 'a topic that is empty or has a wildcard');
    const known: KnownTopic = { topic, allowed: this.session.acl.publish(topic).allowed, route: null };
    if (end - start <= KNOWN_TOPIC_BYTES) {
      if (this.topics.size >= KNOWN_TOPICS) this.topics.clear();
      this.topics.set(key, known);
    }
    return known;
  }

  private deny(topic: string): void {
    const { counters, noisyLog, log } = this.services;
    counters.publishesDenied++;
    const { login, clientId, id } = this.session;
    noisyLog.line(`publish:${id}`, (suppressed) => {
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
