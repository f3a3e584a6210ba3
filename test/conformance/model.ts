import type { Came } from './model-peer.js';

/** Messages at QoS 1 and 2 that the broker sends before the first of them is acknowledged. */
export const inflightWindow = 20;

/** What one filter was granted. Earlier versions than 5 know the QoS alone. */
export interface Granted {
  readonly qos: number;
  readonly asPublished: boolean;
  readonly identifier: number | null;
}

/** A message, as its publisher knows it. */
export interface Published {
  readonly leaf: string;
  readonly payload: string;
  readonly qos: number;
  /** It has properties. */
  readonly typed: boolean;
}

/** One copy of a message that a subscriber may or must get. */
interface Expected extends Published {
  /** It comes because it was retained when a subscription was made. */
  readonly retained: boolean;
  /** With RETAIN. */
  readonly flagged: boolean;
  readonly identifiers: readonly number[];
  /**
   * It leaves once it is on disk, and nobody has waited for that: perhaps behind the answer to a PINGREQ, just as the
   * connection is cut. What was sent then and never read comes again, for the first time here, with DUP [MQTT-3.3.1-1].
   */
  readonly late: boolean;
  /** Whether it has to come: acknowledged at QoS 1 or 2, or sent to a connection that was up. */
  must: boolean;
  /** Whether the broker may have sent it without its being read. */
  perhapsSent: boolean;
  /** How often it came as a new message, as a receiver of MQTT counts. */
  arrivals: number;
  /** Whether the subscriber's last word on it has reached the broker. */
  done: boolean;
}

/** What the subscriber has got and not answered yet. */
interface Unanswered {
  readonly id: number;
  readonly packet: 'publish' | 'pubrel';
}

export interface Answer {
  readonly id: number;
  readonly packet: 'puback' | 'pubrec' | 'pubcomp';
  /** With a reason code that ends the flow. */
  readonly refuses: boolean;
}

export function matches(filter: string, leaf: string): boolean {
  const [wanted, levels] = [filter.split('/'), leaf.split('/')];
  const open = wanted.at(-1) === '#';
  const fixed = open ? wanted.slice(0, -1) : wanted;
  if (open ? levels.length < fixed.length : levels.length !== fixed.length) return false;
  return fixed.every((level, index) => level === '+' || level === levels[index]);
}

/** What one persistent subscriber may get and must get, and what is wrong with what it got. Knows nothing of sockets. */
export class SubscriberModel {
  readonly violations: string[] = [];
  readonly #filters = new Map<string, Granted>();
  /** In the order of their coming. */
  #expected: Expected[] = [];
  /** The receiver's memory by packet id: what it has got and not yet finished. */
  readonly #open = new Map<number, Expected>();
  /** Those of them that have come over this connection, of which it said how many it takes. */
  readonly #inFlight = new Set<number>();
  #window = inflightWindow;
  #unanswered: Unanswered[] = [];

  /** How many messages the connection takes that is made now. */
  connected(receiveMaximum: number): void {
    this.#window = Math.min(receiveMaximum, inflightWindow);
  }

  has(filter: string): boolean {
    return this.#filters.has(filter);
  }

  subscribe(filter: string, granted: Granted): void {
    this.#filters.set(filter, granted);
  }

  unsubscribe(filter: string): void {
    this.#filters.delete(filter);
  }

  /** A message is published. `acknowledged`: its publisher waits for the end of the flow. */
  expect(message: Published, retain: boolean, { acknowledged = true, connected = true }): void {
    const granted = [...this.#filters].filter(([filter]) => matches(filter, message.leaf)).map(([, each]) => each);
    if (granted.length === 0) return;
    const qos = Math.min(message.qos, Math.max(...granted.map((each) => each.qos)));
    const must = acknowledged && (qos > 0 || connected);
    const flagged = retain && granted.some(({ asPublished }) => asPublished);
    const identifiers = granted.flatMap(({ identifier }) => (identifier === null ? [] : [identifier])).sort();
    this.#add({ ...message, qos, retained: false, flagged, identifiers, must, late: !acknowledged });
  }

  /** A retained message is due, for a subscription that is being made. */
  expectRetained(message: Published, { qos, identifier }: Granted): void {
    const identifiers = identifier === null ? [] : [identifier];
    const atQos = Math.min(qos, message.qos);
    this.#add({ ...message, qos: atQos, retained: true, flagged: true, identifiers, must: true, late: true });
  }

  /** A retained message that still waits when a newer one takes its place need not come any more. */
  replaced(leaf: string): void {
    for (const entry of this.#expected) if (entry.retained && entry.leaf === leaf) entry.must = false;
  }

  /** The connection is gone. What waited at QoS 0 goes with it, or may. */
  disconnected(): void {
    this.#unanswered = [];
    this.#inFlight.clear();
    this.#expected = this.#expected.filter(({ qos, retained, arrivals }) => qos > 0 || retained || arrivals > 0);
    for (const entry of this.#expected) {
      if (entry.qos === 0) entry.must = false;
      if (entry.late) entry.perhapsSent = true;
    }
  }

  /** The broker has stopped and started: for what it has from the store it may say DUP. */
  restarted(): void {
    this.disconnected();
    const unfinished = this.#open.size + this.#expected.filter(({ qos, arrivals }) => qos > 0 && arrivals === 0).length;
    for (const entry of this.#expected) {
      entry.perhapsSent = true;
      // Retained messages that wait behind a full window are in the broker's memory alone.
      if (entry.retained && unfinished > this.#window) entry.must = false;
    }
  }

  get owesAnswers(): boolean {
    return this.#unanswered.length > 0;
  }

  get settled(): boolean {
    return this.#open.size === 0 && this.#missing().length === 0;
  }

  /** Why it is not settled, when nothing comes any more. */
  unsettled(): string[] {
    return [
      ...this.#missing().map(({ payload, qos }) => `${payload} of QoS ${qos} never came`),
      ...[...this.#open].map(([id, { payload }]) => `the flow ${id} of ${payload} is never ended`),
    ];
  }

  /** What the subscriber says to the oldest `count` packets that it has not answered yet. */
  answer(count: number, refuses = false): Answer[] {
    return this.#unanswered.splice(0, count).map(({ id, packet }) => {
      const entry = this.#open.get(id);
      if (entry !== undefined) entry.done = true;
      if (packet === 'publish' && entry?.qos === 2) {
        if (refuses) this.#finish(id);
        return { id, packet: 'pubrec', refuses };
      }
      this.#finish(id);
      return packet === 'publish' ? { id, packet: 'puback', refuses } : { id, packet: 'pubcomp', refuses: false };
    });
  }

  pubrel(id: number): void {
    this.#unanswered.push({ id, packet: 'pubrel' });
  }

  message(leaf: string, came: Came): void {
    const { payload, qos, retain, dup, id, properties } = came;
    const complain = (what: string) =>
      this.violations.push(`${what}: ${JSON.stringify({ leaf, payload, qos, retain, dup, id, properties })}`);
    if (qos > 0 && this.#inFlight.add(id).size > this.#window) complain(`more than ${this.#window} at a time`);
    const open = qos > 0 ? this.#open.get(id) : undefined;
    if (open) {
      // A redelivery: the same message under the same id, and only as long as it was not answered.
      if (open.payload !== payload || open.qos !== qos) complain(`packet id in use for ${open.payload}`);
      if (open.done) complain('comes again after its acknowledgement');
      if (!dup) complain('comes again without DUP');
      if (!hasAll(open, came)) complain(`comes again with other properties than ${JSON.stringify(open)}`);
      this.#unanswered.push({ id, packet: 'publish' });
      return;
    }
    const candidates = this.#expected.filter((entry) => entry.payload === payload && entry.flagged === retain);
    const fitting = candidates.filter((entry) => entry.arrivals === 0 && entry.qos === qos);
    const found = fitting.find((entry) => hasAll(entry, came)) ?? fitting[0];
    if (!found) {
      complain(candidates.length > 0 ? 'comes too often, or at another QoS' : 'may not come');
      return;
    }
    if (!hasAll(found, came)) complain(`comes with other properties than ${JSON.stringify(found)}`);
    if (dup && !found.perhapsSent) complain('comes for the first time with DUP');
    const index = this.#expected.indexOf(found);
    const later = this.#expected.slice(index + 1).find((entry) => entry.leaf === leaf && entry.arrivals > 0);
    if (later) complain(`comes after the later ${later.payload}`);
    found.arrivals += 1;
    if (qos === 0) return;
    this.#open.set(id, found);
    this.#unanswered.push({ id, packet: 'publish' });
  }

  #finish(id: number): void {
    this.#open.delete(id);
    this.#inFlight.delete(id);
  }

  #add(entry: Omit<Expected, 'perhapsSent' | 'arrivals' | 'done'>): void {
    this.#expected.push({ ...entry, perhapsSent: false, arrivals: 0, done: false });
  }

  #missing(): Expected[] {
    return this.#expected.filter(({ must, arrivals }) => must && arrivals === 0);
  }
}

/** A receiver of version 5 gets all properties and identifiers, any other none. */
function hasAll({ payload, typed, identifiers }: Expected, { properties }: Came): boolean {
  if (properties === null) return true;
  const { contentType, subscriptionIdentifiers = [] } = properties;
  return (
    contentType === (typed ? payload : undefined) && subscriptionIdentifiers.toSorted().join() === identifiers.join()
  );
}
