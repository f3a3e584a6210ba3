/**
 * What an attacker does, as data: it can be written by hand, generated, made smaller and kept as JSON. A program is a
 * few groups of connections; every connection of a group goes through the same steps, all of them at the same time.
 */
export interface Program {
  readonly name: string;
  /** One sentence for people. */
  readonly about: string;
  /** How long it may go on once all connections have met for the last time; without a `meet`, from its start. */
  readonly seconds: number;
  readonly groups: readonly Group[];
  /** What an operator does to the attacker meanwhile: one after the other, and from the beginning again. */
  readonly operator?: readonly OperatorStep[];
  /** The broker is stopped and started again behind it; then these go on. */
  readonly afterRestart?: readonly Group[];
  /** What has to come of it, exactly: for the modest program beside an attack. */
  readonly expects?: Partial<Tally>;
}

/** Limits are those of `userLimits`. */
export type OperatorStep =
  | { readonly do: 'limits'; readonly limits: Readonly<Record<string, number>> }
  | { readonly do: 'usual-limits' }
  | { readonly do: 'kick' }
  | { readonly do: 'ban'; readonly seconds: number }
  | { readonly do: 'unban' }
  /** The configuration has other limits for the attacker, and is read again. */
  | { readonly do: 'reload'; readonly limits: Readonly<Record<string, number>> }
  | { readonly do: 'pause'; readonly ms: number };

export interface Group {
  readonly connections: number;
  /** Number of the user when several attack together: `mallory1`, from an address of their own. */
  readonly as?: number;
  /** How many of them may be in the middle of a `connect` at the same time. */
  readonly atOnce?: number;
  readonly steps: readonly Step[];
}

/**
 * One text or a row of them. `{user}` is the attacker's login, `{c}` the number of the connection in its group, `{n}`
 * that of the text in its row, `{r}` the round of the innermost `repeat`, `{c%20}` any of these modulo a number.
 */
export type Text = string | TextRow;

export interface TextRow {
  readonly text: string;
  readonly count?: number;
  /** Filled up to so many topic levels with `level`; `tail` is the last of them. */
  readonly levels?: number;
  readonly level?: string;
  readonly tail?: string;
  /** Filled up to so many bytes with `pad`. */
  readonly bytes?: number;
  readonly pad?: string;
}

export type Qos = 0 | 1 | 2;
/** 3 is MQTT 3.1, 4 is 3.1.1, 5 is 5. */
export type Level = 3 | 4 | 5;

/** A property of MQTT 5, by its identifier: a number, or a text that is filled up to so many bytes; so often. */
export interface PropertyRow {
  readonly id: number;
  readonly number?: number;
  readonly bytes?: number;
  readonly count?: number;
}

export interface ConnectStep {
  readonly do: 'connect';
  readonly level?: Level;
  /** The client id; one that nobody else has by default. */
  readonly id?: Text;
  readonly clean?: boolean;
  readonly keepaliveSeconds?: number;
  /** Of MQTT 5; earlier versions leave them out. */
  readonly properties?: readonly PropertyRow[];
  readonly will?: { readonly topic: Text; readonly bytes?: number; readonly qos?: Qos; readonly retain?: boolean };
  /** Somebody who may not exist; the attacker by default. */
  readonly login?: Text;
  readonly password?: string;
  /** Whether messages that come in are acknowledged. */
  readonly acknowledges?: boolean;
  /** Whether its own messages at QoS 2 are released when they were received. */
  readonly releases?: boolean;
  /** Whether what is dribbled is encrypted first, and leaves in one go. */
  readonly hoards?: boolean;
}

export interface SubscribeStep {
  readonly do: 'subscribe';
  readonly filters: Text;
  readonly qos?: Qos;
  /** Filters of one packet; all of them by default. */
  readonly perPacket?: number;
  /** Of MQTT 5, without QoS: No Local and the like. */
  readonly options?: number;
  readonly properties?: readonly PropertyRow[];
}

export interface UnsubscribeStep {
  readonly do: 'unsubscribe';
  readonly filters: Text;
  readonly perPacket?: number;
}

export interface PublishStep {
  readonly do: 'publish';
  readonly topics: Text;
  readonly bytes?: number;
  readonly qos?: Qos;
  readonly retain?: boolean;
  readonly properties?: readonly PropertyRow[];
}

/** PINGREQs one behind the other. */
export interface PingStep {
  readonly do: 'ping';
  readonly count: number;
}

/** Any bytes. */
export interface RawStep {
  readonly do: 'raw';
  readonly hex: string;
  readonly times?: number;
}

export type PacketStep = SubscribeStep | UnsubscribeStep | PublishStep | PingStep | RawStep;

export type Step =
  | ConnectStep
  | PacketStep
  /** Only the first part (0 to 1) of what the step would send. The rest never comes. */
  | { readonly do: 'part'; readonly of: PacketStep; readonly keep: number }
  /** What the step would send, but its first bytes in TLS records of one byte each. */
  | { readonly do: 'dribble'; readonly of: PacketStep; readonly bytes: number }
  /** A TCP connection that says this, no TLS, and stays for a while; to the broker, or to its port for operators. */
  | { readonly do: 'knock'; readonly hex: string; readonly ms: number; readonly at?: 'admin' }
  /** A TLS handshake that the client begins and leaves after so long, by a reset. */
  | { readonly do: 'abandon'; readonly ms: number }
  | { readonly do: 'reading'; readonly on: boolean }
  /** Waits for the answer to everything that was sent. */
  | { readonly do: 'answers'; readonly withinMs?: number }
  /** Waits until so many messages have come in on this connection. */
  | { readonly do: 'messages'; readonly count: number; readonly withinMs?: number }
  | { readonly do: 'wait'; readonly ms: number }
  /** Waits for every connection of the program that has a `meet` of this name before it. */
  | { readonly do: 'meet'; readonly at: string }
  | { readonly do: 'disconnect' }
  /** A TCP reset. */
  | { readonly do: 'cut' }
  | { readonly do: 'repeat'; readonly times: number; readonly steps: readonly Step[] };

/** What came of a program, over all of its connections. */
export interface Tally {
  /** Accepted with CONNACK 0. */
  connected: number;
  /** Any other end of a `connect`. */
  refused: number;
  /** By the broker. */
  closed: number;
  granted: number;
  denied: number;
  unsubscribed: number;
  /** PUBACKs and PUBCOMPs. */
  published: number;
  messages: number;
  messageBytes: number;
  pingresps: number;
  sentBytes: number;
}

export const emptyTally = (): Tally => ({
  connected: 0,
  refused: 0,
  closed: 0,
  granted: 0,
  denied: 0,
  unsubscribed: 0,
  published: 0,
  messages: 0,
  messageBytes: 0,
  pingresps: 0,
  sentBytes: 0,
});

/** Names of the places where a connection meets the others, in this list of steps. */
export function meetings(steps: readonly Step[]): Set<string> {
  const names = new Set<string>();
  for (const step of steps) {
    if (step.do === 'meet') names.add(step.at);
    if (step.do === 'repeat') for (const name of meetings(step.steps)) names.add(name);
  }
  return names;
}

/** For a line of a report: `1000 × connect, subscribe ∥ 1 × connect, publish`. */
export function inShort({ groups, operator }: Program): string {
  const steps = (list: readonly Step[]): string =>
    list.map((step) => (step.do === 'repeat' ? `${step.times} × (${steps(step.steps)})` : step.do)).join(', ');
  const all = groups.map((group) => `${group.connections} × ${steps(group.steps)}`);
  if (operator !== undefined) all.push(`operator: ${operator.map((step) => step.do).join(', ')}`);
  return all.join(' ∥ ');
}
