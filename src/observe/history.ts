import type { Clock } from '../clock.js';
import { networkOf } from '../network.js';
import { Rings, type Slot } from './rings.js';

/** What a user may not do, or could not be given; one that is repeated is counted. */
export interface Denial {
  readonly login: string;
  readonly clientId: string;
  /** `deliver`: a message that was dropped on its way to the client; `retain`: one that was delivered and not kept. */
  readonly action: 'publish' | 'subscribe' | 'will' | 'retain' | 'deliver';
  /** Or the filter; its beginning, if it is very long. */
  readonly topic: string;
  readonly reason: string;
  /** What helps, in a sentence for the user. */
  readonly hint: string;
  /** Dates, in milliseconds since 1970. */
  readonly firstAt: number;
  lastAt: number;
  count: number;
}

/** Where a denial is noted: of one login and client id. */
export type Noted = Slot<Denial>;

/** A CONNECT that was refused. What it said of itself nobody has checked. */
export interface Refusal {
  readonly address: string;
  readonly login: string | null;
  readonly clientId: string | null;
  readonly reason: string;
  /** What else is known of why it was, the last time. */
  detail: string | null;
  readonly firstAt: number;
  lastAt: number;
  count: number;
}

/** A connection of a client that was let in, once it has ended. */
export interface EndedConnection {
  readonly n: number;
  readonly login: string;
  readonly clientId: string;
  readonly address: string;
  readonly protocol: string;
  readonly openedAt: number;
  readonly endedAt: number;
  readonly reason: string;
  readonly detail: string | null;
  readonly publishesReceived: number;
  readonly publishesSent: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

/** What happened as seen from outside, for whoever is told at once. */
export interface HistoryListener {
  denied?(denial: Denial): void;
  refused?(refusal: Refusal): void;
  began?(connection: { readonly n: number; readonly login: string; readonly clientId: string }): void;
  ended?(connection: EndedConnection): void;
}

const mebibyte = 1024 * 1024;
const DENIALS_PER_USER = 200;
const REFUSALS_PER_NETWORK = 200;
const ENDED = 1_000;
/** Longer ones are cut: they are there to be recognised. */
const TEXT_CHARACTERS = 200;
/** Of what a refused CONNECT said of itself. */
const REFUSED_CHARACTERS = 64;

/**
 * What happened lately: denials and drops by user, refused CONNECTs by network, and connections that ended by user. In
 * bounded memory, of which nobody can take what others need; nothing of it is on disk.
 */
export class History {
  readonly #clock: Clock;
  readonly #denials: Rings<Denial>;
  readonly #refusals: Rings<Refusal>;
  readonly #ended: Rings<EndedConnection>;
  readonly #listeners = new Set<HistoryListener>();
  /** Of this broker alone among those of a cluster: its numbers are its shard's modulo the number of shards. */
  readonly #step: number;
  #connections: number;

  /** `balance` is told what is kept. */
  constructor(clock: Clock, balance: { add(bytes: number): void }, { shards, shard } = { shards: 1, shard: 0 }) {
    this.#clock = clock;
    this.#step = shards;
    this.#connections = shard;
    const charge = (bytes: number) => balance.add(bytes);
    this.#denials = new Rings({
      ...{ entries: 20_000, entriesPerOwner: DENIALS_PER_USER, bytes: 8 * mebibyte, charge },
      bytesOf: ({ login, clientId, topic, hint }) =>
        200 + 2 * (login.length + clientId.length + topic.length + hint.length),
    });
    this.#refusals = new Rings({
      ...{ entries: 2_000, entriesPerOwner: REFUSALS_PER_NETWORK, bytes: mebibyte, charge },
      bytesOf: ({ login, clientId }) => 700 + 2 * ((login?.length ?? 0) + (clientId?.length ?? 0)),
    });
    this.#ended = new Rings({
      ...{ entries: ENDED, entriesPerOwner: ENDED, bytes: 2 * mebibyte, charge },
      bytesOf: ({ login, clientId, detail }) => 300 + 2 * (login.length + clientId.length + (detail?.length ?? 0)),
    });
  }

  /** The next connection's number. */
  nextConnection(): number {
    this.#connections += this.#step;
    return this.#connections;
  }

  listen(listener: HistoryListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * The hint is only made for what was not denied before. Returns where it is noted: handed in the next time, as `last`,
   * it makes the same again cheap. A full queue may come here with every message of a flood, and the key, which is made
   * of all that, would be most of what dropping one costs.
   */
  denied(
    { login, clientId }: { readonly login: string; readonly clientId: string },
    action: Denial['action'],
    topic: string,
    reason: string,
    hint: () => string,
    last: Noted | null = null,
  ): Noted {
    const shown = cut(topic);
    const at = this.#clock.epochMs();
    const again = (known: Denial) => {
      known.lastAt = at;
      known.count++;
    };
    let noted = last;
    if (last?.entry?.topic === shown && last.entry.reason === reason && last.entry.action === action) {
      again(last.entry);
      this.#denials.renew(login, last);
    } else {
      noted = this.#denials.put(
        login,
        `${action}\0${reason}\0${clientId}\0${shown}`,
        () => ({
          ...{ login, clientId: cut(clientId), action, topic: shown, reason, hint: hint() },
          ...{ firstAt: at, lastAt: at, count: 1 },
        }),
        again,
      );
    }
    const denial = noted!.entry;
    if (denial !== null) for (const listener of this.#listeners) listener.denied?.(denial);
    return noted!;
  }

  refused(address: string, login: string | null, clientId: string | null, reason: string, detail?: string): void {
    const at = this.#clock.epochMs();
    const why = detail === undefined ? null : cut(detail);
    const shown = {
      login: login?.slice(0, REFUSED_CHARACTERS) ?? null,
      clientId: clientId?.slice(0, REFUSED_CHARACTERS) ?? null,
    };
    const { entry } = this.#refusals.put(
      networkOf(address),
      `${reason}\0${address}\0${shown.login}\0${shown.clientId}`,
      () => ({ ...shown, address, reason, detail: why, firstAt: at, lastAt: at, count: 1 }),
      (known) => {
        known.lastAt = at;
        known.detail = why;
        known.count++;
      },
    );
    if (entry !== null) for (const listener of this.#listeners) listener.refused?.(entry);
  }

  began(connection: { readonly n: number; readonly login: string; readonly clientId: string }): void {
    for (const listener of this.#listeners) listener.began?.(connection);
  }

  ended(connection: Omit<EndedConnection, 'endedAt'>): void {
    const { clientId, detail } = connection;
    const ended = {
      ...connection,
      ...{ clientId: cut(clientId), detail: detail === null ? null : cut(detail), endedAt: this.#clock.epochMs() },
    };
    // Of whoever was forgotten nothing is kept, and this may come when that is done.
    if (ended.reason !== 'forgotten') this.#ended.put(connection.login, String(connection.n), () => ended);
    for (const listener of this.#listeners) listener.ended?.(ended);
  }

  /** Of one user, or of all. */
  denials(login?: string): Iterable<Denial> {
    return login === undefined ? this.#denials : this.#denials.of(login);
  }

  refusals(): Iterable<Refusal> {
    return this.#refusals;
  }

  endedConnections(login?: string): Iterable<EndedConnection> {
    return login === undefined ? this.#ended : this.#ended.of(login);
  }

  /**
   * Of one user; also the refused CONNECTs that said they were his: whoever has the login next is shown those of the
   * login.
   */
  forget(login: string): void {
    for (const rings of [this.#denials, this.#ended]) rings.drop(login);
    const shown = login.slice(0, REFUSED_CHARACTERS);
    this.#refusals.dropWhere((refusal) => refusal.login === shown);
  }

  clear(): void {
    for (const rings of [this.#denials, this.#refusals, this.#ended]) rings.clear();
  }
}

function cut(text: string): string {
  return text.length > TEXT_CHARACTERS ? `${text.slice(0, TEXT_CHARACTERS)}…` : text;
}
