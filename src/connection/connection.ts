import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.js';
import type { LimitsConfig } from '../config/config.js';
import type { Account } from '../fairness/account.js';
import type { Networks } from '../fairness/networks.js';
import type { Scheduler } from '../fairness/scheduler.js';
import { ConnectionTraffic } from '../mqtt/traffic.js';
import type { Transport } from '../network.js';
import type { Counters } from '../observe/counters.js';
import type { History } from '../observe/history.js';
import type { Log } from '../observe/log.js';
import type { RateLimited } from '../observe/rate-limited.js';
import type { CloseReason } from '../session/close-reason.js';
import type { Session } from '../session/session.js';
import type { Holder, UserAccount } from '../session/user-account.js';
import { tellEnd } from './comings.js';
import type { FrameHandler, FrameSource } from './frame-handler.js';
import { FrameReader } from './frame-reader.js';
import { Outbox } from './outbox.js';
import { pauseAtOnce } from './pause-at-once.js';
import { ProtocolError } from './protocol-error.js';
import { readOnAfterWriteError } from './read-on.js';

/** How long a closed connection may take to deliver its last bytes before its socket is destroyed. */
const LINGER_MS = 2_000;
/** What a connection takes: socket and TLS state outside of the heap, and what the broker keeps for it. */
export const CONNECTION_BYTES = 40 * 1024;

export interface ConnectionContext {
  /** Every open connection, from its TLS handshake to its close. */
  readonly connections: Set<Connection>;
  readonly scheduler: Scheduler;
  readonly networks: Networks;
  readonly clock: Clock;
  readonly limits: Pick<LimitsConfig, 'connectTimeoutMs' | 'drainTimeoutMs'>;
  readonly history: History;
  readonly counters: Counters;
  readonly log: Log;
  /** For lines that a client can cause as often as it likes. */
  readonly noisyLog: RateLimited;
}

/** The client that was let in, as its connection knows it. */
export interface ConnectedClient extends FrameHandler {
  readonly login: string;
  readonly clientId: string;
  readonly account: UserAccount;
  readonly session: Session;
  readonly wire: { readonly version: string };
  /** What the credential backend needs to check later whether the user is still entitled. */
  readonly proof: unknown;
  /** Milliseconds without a packet after which the connection is closed [MQTT-3.1.2-24]; 0: never. */
  readonly keepaliveMs: number;
  /** Sends what is queued, when it is the user's turn. */
  pump(): void;
  /** The connection is closed. A `disconnect` is the client's own word. */
  gone(reason: CloseReason): void;
  /** What the client is told before the broker closes; null: nothing. */
  goodbye(reason: CloseReason, error: ProtocolError | null): Buffer | null;
  /** Nothing of the connection is left in the account. */
  settled(): void;
}

/**
 * One network connection, from its TLS socket to its close: its bytes, its deadlines, and nothing of what they mean.
 * FrameReader cuts what arrives into frames, for the Stranger at first and for the Client once CONNECT was accepted;
 * what leaves goes through the Outbox. `close` is the only way out.
 */
export class Connection implements FrameSource, Holder {
  /** By which operators call it: no two connections of a broker have the same. */
  readonly n: number;
  /** When it came: milliseconds since 1970. */
  readonly openedAt: number;
  readonly traffic: ConnectionTraffic;
  readonly outbox: Outbox;
  readonly reader: FrameReader;
  readonly address: string;
  readonly transport: Transport;
  readonly socket: Duplex;

  readonly #context: ConnectionContext;
  /** Whose it was when it came. */
  readonly #network: Account;
  /** Whose it is. */
  #account: Account;
  readonly #openedAtMs: number;
  #heardAtMs: number;
  #client: ConnectedClient | null = null;
  /** CONNECT is being checked: the end of the peer's bytes is not the end of the connection. */
  #connecting = false;
  /** CONNACK has left: what comes behind CONNECT is handled. */
  #answered = false;
  #closed = false;
  readonly #onClosed: (() => void)[] = [];
  #endReason: CloseReason = 'peer-closed';
  #stalledSinceMs: number | null = null;
  #stalledWrites = 0;

  constructor(
    context: ConnectionContext,
    socket: Duplex,
    { address, transport }: { readonly address: string; readonly transport: Transport },
    stranger: (connection: Connection, account: Account) => FrameHandler,
  ) {
    this.#context = context;
    this.traffic = new ConnectionTraffic(context.counters);
    this.n = context.history.nextConnection();
    this.openedAt = context.clock.epochMs();
    this.socket = socket;
    this.address = address;
    this.transport = transport;
    const network = context.networks.enter(address);
    this.#network = network;
    this.#account = network;
    network.balances.connections.add(CONNECTION_BYTES);
    this.reader = new FrameReader(socket, context.scheduler, this, stranger(this, network));
    this.outbox = new Outbox(socket, context.scheduler, this.reader, network, this.traffic);
    this.reader.onReading = () => this.outbox.resume();
    this.outbox.onDrained = () => this.#client?.pump();
    pauseAtOnce(socket);
    readOnAfterWriteError(socket, context.clock, () => this.outbox.close());
    this.#openedAtMs = context.clock.monotonicMs();
    this.#heardAtMs = this.#openedAtMs;
    context.connections.add(this);
    socket.on('data', (chunk: Buffer) => {
      this.#heardAtMs = context.clock.monotonicMs();
      this.traffic.received(chunk.length);
      this.reader.read(chunk);
      this.reader.waitFor(this.outbox.answersRead);
    });
    socket.on('end', () => this.reader.end());
    socket.on('error', () => this.#socketGone('socket-error'));
    socket.on('violation', (error: ProtocolError) => this.failed(error));
    socket.on('close', () => this.#socketGone('peer-closed'));
  }

  pump(): void {
    this.#client?.pump();
  }

  /** Null until CONNECT is accepted. */
  get client(): ConnectedClient | null {
    return this.#client;
  }

  /** Whose it is: a network's, and from CONNECT on a user's. */
  get account(): Account {
    return this.#account;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** How long nothing has come from it. */
  get silentMs(): number {
    return this.#context.clock.monotonicMs() - this.#heardAtMs;
  }

  /** CONNECT is here and being checked; what follows it waits. */
  connecting(): void {
    this.#connecting = true;
    this.reader.halt();
  }

  /** CONNECT was accepted: frames are the client's from here on, and still wait for `answered`. */
  accepted(client: ConnectedClient): void {
    this.#client = client;
    this.#connecting = false;
    this.#account.balances.connections.add(-CONNECTION_BYTES);
    this.#account = client.account;
    this.#account.balances.connections.add(CONNECTION_BYTES);
    this.outbox.account = client.account;
    this.traffic.user = client.account.traffic;
    this.reader.handler = client;
  }

  /** CONNACK is on its way: what came behind CONNECT is handled now. */
  answered(): void {
    this.#answered = true;
    this.reader.resume();
  }

  /** Answers CONNECT with a refusal, if the client takes one, and closes [MQTT-3.2.2-5]. */
  refuse(connack: Buffer | null): void {
    if (connack !== null) this.outbox.packet(connack);
    this.close('refused');
  }

  /** Sends an answer; false, and closes, when it is larger than what the client takes (null) [MQTT-3.1.2-24]. */
  answer(packet: Buffer | null): boolean {
    if (packet === null) {
      this.failed(new ProtocolError('too-large', 'the answer would be larger than what the client takes'));
      return false;
    }
    this.outbox.packet(packet);
    return true;
  }

  ended(): void {
    if (!this.#connecting) this.close(this.#endReason);
  }

  failed(error: unknown): void {
    if (error instanceof ProtocolError) {
      this.close('protocol-error', error);
      return;
    }
    this.#context.log.error({ err: error, login: this.#client?.login }, 'a packet could not be handled');
    this.close('internal-error');
  }

  /** Closes once all that was received, but for what is behind an unanswered CONNECT, is handled, and calls back then. */
  closeHandled(reason: 'taken-over' | 'broker-stopping', done: () => void = () => {}): void {
    if (this.#closed) {
      done();
      return;
    }
    this.#onClosed.push(done);
    // To be taken over is no way around the user's rate.
    if (this.#answered) this.reader.handleAll(() => this.close(reason), reason === 'broker-stopping');
    else this.close(reason);
  }

  /** Checks the deadlines; called about once a second. */
  tick(nowMs: number): void {
    const { limits } = this.#context;
    const client = this.#client;
    const { outbox } = this;
    if (client === null && !this.#connecting && nowMs - this.#openedAtMs > limits.connectTimeoutMs) {
      this.close('connect-timeout');
    } else if (this.#isSilent(client, nowMs)) {
      this.close('keepalive-timeout'); // [MQTT-3.1.2-24]
    } else if (!outbox.busy) {
      this.#stalledSinceMs = null;
      // It may have waited for other sockets of its user.
      client?.pump();
    } else if (this.#stalledSinceMs === null || outbox.writes !== this.#stalledWrites) {
      this.#stalledSinceMs = nowMs;
      this.#stalledWrites = outbox.writes;
    } else if (nowMs - this.#stalledSinceMs > limits.drainTimeoutMs) {
      this.close('drain-timeout');
    }
  }

  #isSilent(client: ConnectedClient | null, nowMs: number): boolean {
    if (client === null || client.keepaliveMs === 0 || this.reader.waiting) return false;
    return nowMs - this.#heardAtMs > client.keepaliveMs;
  }

  /** Ends the connection, once. A `disconnect` is the client's own word. */
  close(reason: CloseReason, error: ProtocolError | null = null): void {
    if (this.#closed) return;
    this.#closed = true;
    this.reader.close();
    this.#context.connections.delete(this);
    const detail = error === null ? undefined : `${error.message} [${error.tag}]`;
    tellEnd(this.#context, this, this.#network.name, reason, detail);
    // Not before CONNACK [MQTT-3.14.0-1].
    const goodbye = this.#answered ? (this.#client?.goodbye(reason, error) ?? null) : null;
    if (goodbye !== null) this.outbox.packet(goodbye);
    this.#client?.gone(reason);
    this.#closeSocket(reason);
    for (const done of this.#onClosed.splice(0)) done();
  }

  /** Nothing of it is left: whose it was has that much less. */
  #settle(): void {
    this.outbox.close();
    this.#account.balances.connections.add(-CONNECTION_BYTES);
    this.#context.networks.leave(this.#network);
    this.#client?.settled();
  }

  #closeSocket(reason: CloseReason): void {
    const { socket, outbox } = this;
    if (socket.destroyed || outbox.closed || reason === 'drain-timeout' || reason === 'socket-error') {
      this.#settle();
      socket.destroy();
      return;
    }
    // What is owed is written, then the stream ends; what still comes in is read and dropped, so that the peer gets an
    // orderly end and not a reset that would take our last bytes with it.
    outbox.end(() => socket.end());
    socket.resume();
    const cancel = this.#context.clock.after(LINGER_MS, () => socket.destroy());
    socket.once('close', () => {
      cancel();
      this.#settle();
    });
  }

  /** The socket is gone. What it brought is handled all the same: nothing else will ever bring it again. */
  #socketGone(reason: CloseReason): void {
    this.outbox.close();
    this.#endReason = reason;
    this.reader.end();
  }
}
