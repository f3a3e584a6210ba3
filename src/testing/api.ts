import type { Faults } from './fault-api.js';
import type { MessageProperties } from './message-properties.js';

// The types that the users of the harness see. They name nothing of the broker's inside, nor of the libraries in it, so
// that they can be checked in a project that has neither.

export interface WaitOptions {
  /** How long to wait, in real time; the broker's `timeoutMs` unless given. */
  readonly timeoutMs?: number | undefined;
}

/** Which client; without either, any. */
export interface ClientScope {
  readonly login?: string | undefined;
  readonly clientId?: string | undefined;
}

/** A client, as the broker knows it. */
export interface ClientInfo {
  readonly login: string;
  readonly clientId: string;
  /** False for a persistent session whose client is away. */
  readonly connected: boolean;
  readonly protocol: '3.1' | '3.1.1' | '5';
  /** The session ends with its connection. */
  readonly clean: boolean;
  readonly subscriptions: readonly { readonly filter: string; readonly qos: 0 | 1 | 2 }[];
  /** Messages sent to the client and not acknowledged by it. */
  readonly inflightMessages: number;
  /** Messages that wait for room in the window, or for the client to be back. */
  readonly queuedMessages: number;
}

/** One message that the broker routed. What the access rules denied is not among them. */
export interface SeenMessage {
  /** Who published. */
  readonly login: string;
  /** Of the client that sent it, or whose Will it is. Null for what the test itself published. */
  readonly clientId: string | null;
  readonly topic: string;
  readonly payload: Buffer;
  /** The payload as UTF-8. */
  readonly text: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  /** Of MQTT 5; null where there are none. */
  readonly properties: MessageProperties | null;
  /** By the broker's clock: milliseconds since the epoch. */
  readonly timeMs: number;
}

/** What the broker denied, dropped or refused. */
export interface SeenDenial {
  /** Of a refused connection it is what was typed; nobody checked it. */
  readonly login: string | null;
  readonly clientId: string | null;
  /** `deliver`: a message that was dropped on its way to this client; `retain`: one that was delivered and not kept. */
  readonly action: 'publish' | 'subscribe' | 'will' | 'retain' | 'deliver' | 'connect';
  /** Or the filter; null for a refused connection. */
  readonly topic: string | null;
  /** As in the log: `denied`, `queue-full`, `wrong-password`, … */
  readonly reason: string;
  /** What helps, in a sentence; clients of MQTT 5 are told the same. */
  readonly hint: string;
  /** How often. */
  readonly count: number;
  /** The last time, by the broker's clock: milliseconds since the epoch. */
  readonly timeMs: number;
}

/** Which denials; those for which all of it is true. */
export interface DenialScope extends ClientScope {
  readonly action?: SeenDenial['action'] | undefined;
  /** The topic or filter itself, or a filter that the topic matches. */
  readonly topic?: string | undefined;
  readonly reason?: string | undefined;
}

export interface MessageOptions extends WaitOptions {
  /** Only messages for which this is true. */
  readonly where?: (message: SeenMessage) => boolean;
}

export interface PublishOptions {
  /** 1 unless given. */
  readonly qos?: 0 | 1 | 2;
  readonly retain?: boolean;
}

/** What mqtt.js's `connect`, or `tls.connect`, needs. */
export interface ConnectOptions {
  readonly host: string;
  readonly port: number;
  readonly protocol: 'mqtts';
  readonly ca: string;
  readonly username: string;
  readonly password: string;
  /** Of MQTT; only there when it was asked for: mqtt.js speaks 3.1.1 (4) without it. */
  readonly protocolVersion?: 3 | 4 | 5;
  /** mqtt.js needs it for MQTT 3.1. */
  readonly protocolId?: 'MQIsdp';
}

/** The users of the broker, changed while it runs. */
export interface TestUsers {
  readonly logins: string[];
  /** Throws for a login that is not there. */
  passwordOf(login: string): string;
  /** Adds a user, or gives one a new password: then live connections of that login are closed, as by the service. */
  set(login: string, password: string): void;
  /** Takes a user away: live connections of that login are closed. */
  remove(login: string): void;
}

/** What the broker logged, in a line. */
export interface LogLine {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';
  /** ISO 8601. */
  readonly time: string;
  readonly msg: string;
  /** Such as `login`, `client`, `topic`, `reason`. */
  readonly [field: string]: unknown;
}

/** A running broker in the hands of a test. */
export interface TestBroker extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** `mqtts://host:port` */
  readonly url: string;
  /** What clients trust (PEM). */
  readonly ca: string;
  /** The same in a file, for programs that want one. Gone when the broker is stopped. */
  readonly caFile: string;
  readonly users: TestUsers;
  readonly faults: Faults;

  connectOptions(login: string, options?: { readonly protocolVersion?: 3 | 4 | 5 }): ConnectOptions;
  /** The arguments with which `mosquitto_pub`, `mosquitto_sub` and `mosquitto_rr` connect as `login`. */
  mosquittoArgs(login: string): string[];

  /** The clients that are connected. */
  clients(): ClientInfo[];
  /** Those, and the persistent sessions whose client is away. */
  sessions(): ClientInfo[];
  /** Resolves once such a client is connected. */
  waitForClient(options?: ClientScope & WaitOptions): Promise<ClientInfo>;
  /** Resolves once no such client is connected. */
  waitForDisconnect(options?: ClientScope & WaitOptions): Promise<void>;
  /** Resolves once a connected client is subscribed to this very filter: what is published from now on reaches it. */
  waitForSubscription(filter: string, options?: ClientScope & WaitOptions): Promise<ClientInfo>;
  /** Resolves once such a client has acknowledged everything there is for it: nothing is in flight, nothing queued. */
  waitForAcknowledgements(options?: ClientScope & WaitOptions): Promise<ClientInfo>;
  /** Breaks the connections of a login, or the one with this client id. Returns how many there were. */
  kick(login: string, clientId?: string): number;

  /** Resolves with the first message whose topic matches, past or future; with `count`, with the first so many. */
  waitForMessage(filter: string, options?: MessageOptions & { readonly count?: undefined }): Promise<SeenMessage>;
  waitForMessage(filter: string, options: MessageOptions & { readonly count: number }): Promise<SeenMessage[]>;
  /** The messages that were routed so far and whose topic matches (all of them, unless given), oldest first. */
  messages(filter?: string): SeenMessage[];
  /** `messages` and `waitForMessage` begin anew. */
  forgetMessages(): void;
  /**
   * Publishes as `login`, as a client of that user would. Resolves when a client would have its acknowledgement. Rejects
   * when the access rules deny it.
   */
  publish(login: string, topic: string, payload?: string | Uint8Array, options?: PublishOptions): Promise<void>;
  /** Publishes a retained message as `login`; an empty payload deletes the one that is there. */
  retain(
    login: string,
    topic: string,
    payload: string | Uint8Array,
    options?: Pick<PublishOptions, 'qos'>,
  ): Promise<void>;

  /** Resolves with the first such denial, past or future. */
  waitForDenial(options?: DenialScope & WaitOptions): Promise<SeenDenial>;
  /** What was denied, dropped and refused so far, oldest first; what is repeated is there once, with its count. */
  denials(scope?: DenialScope): SeenDenial[];
  /**
   * A metric, by its name without prefix, such as `publishes_received_total`; of those with these labels the sum. Of a
   * histogram, `…_count` and `…_sum`. Rejects for a name that is none.
   */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;

  /** Moves the broker's time on; for a broker that was started with `clock: 'manual'`. */
  advance(byMs: number): void;
  /**
   * Stops the broker, as the service is stopped, and starts it again on the same port. `store`: what was kept is there
   * again (`keep`, unless given), or lost (`empty`). `whileDown` runs while nothing listens.
   */
  restart(options?: { readonly store?: 'keep' | 'empty'; readonly whileDown?: () => unknown }): Promise<void>;
  /** For between two tests: no fault, no client, no session, no retained message, nothing seen. Users and port stay. */
  reset(): Promise<void>;
  /** What the broker logged, the last 200 lines; from `warn` on, unless `log: { level }` says otherwise. */
  logLines(): LogLine[];
  /** Stops the broker. Nothing is left of it: no socket, no timer, no file. */
  stop(): Promise<void>;
}
