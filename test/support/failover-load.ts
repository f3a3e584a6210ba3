import { connect, connectAsync, type IClientOptions, type MqttClient, Store } from 'mqtt';
import { eventually } from './deadline.js';
import { passwordOf, type Target } from './raw-client.js';

/** A message of each user every so often, at each QoS. */
const PERIOD_MS = 25;
/** Sent and not acknowledged, at most. */
const WINDOW = 20;

/** What a client was given of one topic. */
class Received {
  readonly numbers = new Set<number>();
  repeated = 0;
  disordered = 0;
  #last = -1;

  add(number: number): void {
    if (this.numbers.has(number)) {
      this.repeated++;
      return;
    }
    if (number < this.#last) this.disordered++;
    this.numbers.add(number);
    this.#last = number;
  }
}

/** One user's clients: one that publishes, one that is there, and one that is away until the end. */
export class LoadedUser {
  readonly login: string;
  readonly acknowledged = { 1: new Set<number>(), 2: new Set<number>() };
  readonly there = { 1: new Received(), 2: new Received() };
  readonly away = { 1: new Received(), 2: new Received() };
  /** How long the client that is there could not connect, each time. */
  readonly outagesMs: number[] = [];
  /** Of each time that it came back. */
  readonly sessionPresent: boolean[] = [];
  longestAckGapMs = 0;
  #pending = 0;
  #next = 0;
  #lastAckMs = performance.now();
  #lostAtMs: number | null = null;
  #publisher: MqttClient | null = null;
  #subscriber: MqttClient | null = null;
  #sending: NodeJS.Timeout | undefined;
  /** What the client that is away has in hand at QoS 2 when it leaves. */
  readonly #remembered = { incomingStore: new Store({ clean: false }), outgoingStore: new Store({ clean: false }) };
  readonly #options: IClientOptions;
  readonly #url: string;

  constructor(login: string, { host, port, ca }: Target, password = passwordOf(login)) {
    this.login = login;
    this.#url = `mqtts://${host}:${port}`;
    this.#options = {
      ...{ ca: ca!, username: login, password, clean: false, servername: 'localhost' },
      ...{ reconnectPeriod: 100, connectTimeout: 3_000, keepalive: 5, rejectUnauthorized: true },
    };
  }

  get connected(): boolean {
    return this.#publisher?.connected === true && this.#subscriber?.connected === true;
  }

  async begin(): Promise<void> {
    const away = await connectAsync(this.#url, { ...this.#options, clientId: 'away' });
    await away.subscribeAsync(this.#topics);
    await away.endAsync();
    this.#publisher = await connectAsync(this.#url, { ...this.#options, clientId: 'publisher' });
    this.#subscriber = await connectAsync(this.#url, { ...this.#options, clientId: 'there', resubscribe: false });
    for (const client of [this.#publisher, this.#subscriber]) client.on('error', () => {});
    await this.#subscriber.subscribeAsync(this.#topics);
    this.#collect(this.#subscriber, this.there);
    this.#subscriber.on('close', () => {
      this.#lostAtMs ??= performance.now();
    });
    this.#subscriber.on('connect', ({ sessionPresent }) => {
      this.sessionPresent.push(sessionPresent);
      if (this.#lostAtMs !== null) this.outagesMs.push(performance.now() - this.#lostAtMs);
      this.#lostAtMs = null;
    });
    this.#lastAckMs = performance.now();
    this.#sending = setInterval(() => this.#send(), PERIOD_MS);
  }

  /** The client that is away comes back, is given what was acknowledged, and leaves. */
  async fetch(): Promise<void> {
    const client = connect(this.#url, { ...this.#options, clientId: 'away', ...this.#remembered });
    client.on('error', () => {});
    client.on('connect', ({ sessionPresent }) => this.sessionPresent.push(sessionPresent));
    this.#collect(client, this.away);
    const owed = ([1, 2] as const).map((qos) => [...this.acknowledged[qos]]);
    await eventually(20_000, `what was acknowledged to ${this.login}`, () =>
      ([1, 2] as const).every((qos, index) => owed[index]!.length <= this.away[qos].numbers.size),
    ).catch(() => {});
    await client.endAsync();
  }

  /** Forgets what was measured, not what was sent and received. */
  newRound(): void {
    this.outagesMs.length = 0;
    this.longestAckGapMs = 0;
    this.#lastAckMs = performance.now();
  }

  /** All that was sent is acknowledged and here. */
  async finish(): Promise<void> {
    clearInterval(this.#sending);
    await eventually(30_000, `the acknowledgements of ${this.login}`, () => this.#pending === 0);
    await eventually(20_000, `what was acknowledged to ${this.login}`, () =>
      ([1, 2] as const).every((qos) => this.acknowledged[qos].size <= this.there[qos].numbers.size),
    ).catch(() => {});
    await this.fetch();
    for (const client of [this.#publisher, this.#subscriber]) await client?.endAsync(true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sending);
    for (const client of [this.#publisher, this.#subscriber]) await client?.endAsync(true);
  }

  get #topics(): Record<string, { qos: 1 | 2 }> {
    return { [`iotlab/${this.login}/1`]: { qos: 1 }, [`iotlab/${this.login}/2`]: { qos: 2 } };
  }

  #collect(client: MqttClient, into: LoadedUser['there']): void {
    client.on('message', (topic, payload) => {
      into[topic.endsWith('/1') ? 1 : 2].add(Number(payload));
    });
  }

  #send(): void {
    if (this.#pending > WINDOW || this.#publisher?.connected !== true) return;
    const number = this.#next++;
    for (const qos of [1, 2] as const) {
      this.#pending++;
      this.#publisher.publish(`iotlab/${this.login}/${qos}`, `${number}`, { qos }, (error) => {
        this.#pending--;
        if (error) return;
        this.acknowledged[qos].add(number);
        const now = performance.now();
        this.longestAckGapMs = Math.max(this.longestAckGapMs, now - this.#lastAckMs);
        this.#lastAckMs = now;
      });
    }
  }
}

/** What must be zero. */
export function broken(users: readonly LoadedUser[]) {
  const sum = (of: (user: LoadedUser) => number) => users.reduce((total, user) => total + of(user), 0);
  const lost = (user: LoadedUser, got: LoadedUser['there']) =>
    ([1, 2] as const).reduce(
      (total, qos) => total + [...user.acknowledged[qos]].filter((it) => !got[qos].numbers.has(it)).length,
      0,
    );
  return {
    lostThere: sum((user) => lost(user, user.there)),
    lostAway: sum((user) => lost(user, user.away)),
    twiceAtQos2: sum(({ there, away }) => there[2].repeated + away[2].repeated),
    disordered: sum(({ there, away }) =>
      ([1, 2] as const).reduce((total, qos) => total + there[qos].disordered + away[qos].disordered, 0),
    ),
    sessionsLost: sum(({ sessionPresent }) => sessionPresent.filter((it) => !it).length),
  };
}

export const acknowledgedBy = (users: readonly LoadedUser[]): number =>
  users.reduce((sum, { acknowledged }) => sum + acknowledged[1].size + acknowledged[2].size, 0);
