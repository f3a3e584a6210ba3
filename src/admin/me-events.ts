import { Charge } from '../fairness/charge.js';
import { perform } from '../fairness/job.js';
import type { Publication } from '../mqtt/publication.js';
import type { Denial } from '../observe/history.js';
import type { UserAccount } from '../session/user-account.js';
import type { AdminContext } from './context.js';
import { denialRow } from './denials.js';
import { ownEndedRow } from './ended-row.js';
import { EventSender, eventText } from './event-sender.js';
import { failedRow } from './failed-row.js';
import { Refusal, type Sink } from './route.js';

/** How long what happens may gather. */
const FLUSH_MS = 250;
/** Not all users are told in the same moment: what that costs is spread. */
const PHASES = 10;
/** Of one kind, within that time; the others are counted. */
const MOST = 50;
/** Longer topics are cut. */
const TOPIC_CHARACTERS = 200;
const BYTES_PER_STREAM = 8 * 1024;
const BYTES_PER_ITEM = 600;

/** What a client has published to a topic since the last flush. */
interface Published {
  readonly topic: string;
  readonly client: string;
  readonly qos: number;
  readonly retain: boolean;
  messages: number;
  bytes: number;
  /** Of the last one. */
  receivers: number;
}

/** Those who look on at one user, who is the user. */
interface Following {
  readonly account: UserAccount;
  readonly phase: number;
  readonly senders: Set<EventSender>;
  readonly charge: Charge;
  denials: Set<Denial>;
  others: { readonly event: string; readonly value: object }[];
  topics: Map<string, Published>;
  lost: number;
}

/**
 * Tells users what happens to them, as it happens. However many look on, a message or a denial costs one look at a map;
 * what concerns somebody who looks on is gathered, and told in the user's own turn.
 */
export class MeEvents {
  readonly #context: Pick<AdminContext, 'parts' | 'clock' | 'streams'>;
  readonly #byLogin = new Map<string, Following>();
  /** Those of whom there is something to tell, by their phase. */
  readonly #dirty = Array.from({ length: PHASES }, () => new Set<Following>());
  #nextPhase = 0;
  #phase = 0;
  #stop: (() => void) | null = null;

  constructor(context: Pick<AdminContext, 'parts' | 'clock' | 'streams'>) {
    this.#context = context;
  }

  /** Whether another stream may be opened. Throws what is answered otherwise. */
  admit(account: UserAccount): void {
    if (!account.hasRoom(BYTES_PER_STREAM)) {
      throw new Refusal(503, 'memory-limit', 'you hold as much as you may (limits.memoryPerUser)');
    }
  }

  follow(account: UserAccount, sink: Sink): void {
    const { streams, clock } = this.#context;
    const following = this.#of(account);
    const sender = new EventSender(sink, streams, clock);
    following.senders.add(sender);
    following.charge.add(BYTES_PER_STREAM);
    this.#stop ??= this.#listen();
    sink.onClose(() => {
      sender.close();
      following.senders.delete(sender);
      following.charge.add(-BYTES_PER_STREAM);
      if (following.senders.size === 0) this.#forget(following);
    });
  }

  close(): void {
    for (const following of [...this.#byLogin.values()]) this.#forget(following);
  }

  #of(account: UserAccount): Following {
    let following = this.#byLogin.get(account.login);
    if (following === undefined) {
      following = {
        ...{
          account,
          phase: this.#nextPhase++ % PHASES,
          senders: new Set(),
          charge: new Charge(account.balances.pages),
        },
        ...{ denials: new Set(), others: [], topics: new Map(), lost: 0 },
      };
      this.#byLogin.set(account.login, following);
    }
    return following;
  }

  #forget(following: Following): void {
    following.charge.balance = null;
    this.#dirty[following.phase]!.delete(following);
    if (this.#byLogin.get(following.account.login) === following) this.#byLogin.delete(following.account.login);
    this.#context.parts.accounts.release(following.account);
    if (this.#byLogin.size > 0) return;
    this.#stop?.();
    this.#stop = null;
  }

  /** While somebody looks on. */
  #listen(): () => void {
    const { parts, clock } = this.#context;
    const published = (publication: Publication) => this.#published(publication);
    parts.distribution.onPublication(published);
    const stopHistory = parts.history.listen({
      denied: (denial) => this.#denied(denial),
      refused: (refusal) => this.#happened(refusal.login, 'failed', () => failedRow(refusal)),
      began: ({ n, login, clientId: client }) => this.#happened(login, 'connected', () => ({ n, client })),
      ended: (ended) => this.#happened(ended.login, 'disconnected', () => ownEndedRow(ended)),
    });
    const stopFlushing = clock.every(FLUSH_MS / PHASES, () => this.#flush());
    return () => {
      parts.distribution.offPublication(published);
      stopHistory();
      stopFlushing();
    };
  }

  #published({ publisher, topic, qos, retain, payloadBytes, deliveries }: Publication): void {
    const following = this.#byLogin.get(publisher.login);
    if (following === undefined) return;
    const client = publisher.clientId ?? '';
    const key = `${client}\0${topic}`;
    const known = following.topics.get(key);
    if (known !== undefined) {
      known.messages++;
      known.bytes += payloadBytes;
      known.receivers = deliveries;
    } else if (this.#mayKeep(following, following.topics.size)) {
      const shown = topic.length > TOPIC_CHARACTERS ? `${topic.slice(0, TOPIC_CHARACTERS)}…` : topic;
      const more = { messages: 1, bytes: payloadBytes, receivers: deliveries };
      following.topics.set(key, { topic: shown, client, qos, retain, ...more });
    }
  }

  #denied(denial: Denial): void {
    const following = this.#byLogin.get(denial.login);
    if (following === undefined || following.denials.has(denial)) return;
    if (this.#mayKeep(following, following.denials.size)) following.denials.add(denial);
  }

  #happened(login: string | null, event: string, value: () => object): void {
    const following = login === null ? undefined : this.#byLogin.get(login);
    if (following === undefined || !this.#mayKeep(following, following.others.length)) return;
    following.others.push({ event, value: value() });
  }

  #mayKeep(following: Following, count: number): boolean {
    this.#dirty[following.phase]!.add(following);
    if (count < MOST && following.account.hasRoom(BYTES_PER_ITEM)) {
      following.charge.add(BYTES_PER_ITEM);
      return true;
    }
    following.lost++;
    return false;
  }

  #flush(): void {
    const { scheduler } = this.#context.parts;
    const dirty = this.#dirty[++this.#phase % PHASES]!;
    for (const following of dirty) perform(this.#tell(following), following.account, scheduler);
    dirty.clear();
  }

  *#tell(following: Following): Generator<undefined, void, void> {
    const { denials, others, topics, lost, senders, charge } = following;
    Object.assign(following, { denials: new Set(), others: [], topics: new Map(), lost: 0 });
    charge.add(-BYTES_PER_ITEM * (denials.size + others.length + topics.size));
    const events = [...others, ...[...denials].map((denial) => ({ event: 'denied', value: denialRow(denial) }))];
    if (topics.size > 0) events.push({ event: 'traffic', value: { topics: [...topics.values()] } });
    if (lost > 0) events.push({ event: 'lost', value: { events: lost } });
    let text = '';
    for (const { event, value } of events) {
      text += eventText(event, value);
      yield;
    }
    // One write each: however many windows look on, a write is what costs.
    for (const sender of senders) {
      sender.sendText(text, events.length);
      yield;
    }
  }
}
