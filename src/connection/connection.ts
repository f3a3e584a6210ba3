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
import type { Holder } from '../session/user-account.js';
import { tellEnd } from './comings.js';
import type { FrameHandler, FrameSource } from './frame-handler.js';
import { FrameReader } from './frame-reader.js';
import { Outbox } from './outbox.js';
import { pauseAtOnce } from './pause-at-once.js';
import type { ConnectedClient, KnownPeer, WaitingPeer } from './peer.js';
import { ProtocolError } from './protocol-error.js';
import { readOnAfterWriteError } from './read-on.js';
import { readUntilClosed } from './read-until-closed.js';
import { WriteStall } from './write-stall.js';

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
  #peer: KnownPeer | null = null;
  #client: ConnectedClient | null = null;
  #waiting: { readonly peer: WaitingPeer; readonly sinceMs: number } | null = null;
  /** CONNECT is being checked: the end of the peer's bytes is not the end of the connection. */
  #connecting = false;
  /** CONNACK has left: what comes behind CONNECT is handled. */
  #answered = false;
  #closed = false;
  readonly #onClosed: (() => void)[] = [];
  #endReason: CloseReason = 'peer-closed';
  readonly #stall = new WriteStall();

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
    this.outbox = new Outbox(socket, context, this.reader, network, this.traffic);
    this.reader.onPaused = () => this.outbox.resume();
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
    socket.on('end', () => this.#peerLeft());
    socket.on('error', () => this.#socketGone('socket-error'));
    socket.on('violation', (error: ProtocolError) => this.failed(error));
    socket.on('close', () => this.#socketGone('peer-closed'));
  }

  pump(): void {
    this.#client?.pump();
  }

  /** Null until it is known whose it is. */
  get peer(): KnownPeer | null {
    return this.#peer;
  }

  /** Null until CONNECT is accepted. */
  get client(): ConnectedClient | null {
    return this.#client;
  }

  /** Whose it is: a network's, and a user's once that is known. */
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

  /** CONNECT is whose it says: the user pays from here on, also for one that has to wait until it is let in. */
  identified(peer: KnownPeer): void {
    this.#peer = peer;
    this.#account.balances.connections.add(-CONNECTION_BYTES);
    this.#account = peer.account;
    this.#account.balances.connections.add(CONNECTION_BYTES);
    this.outbox.account = peer.account;
    this.reader.handler = peer;
    peer.account.connections.add(this);
  }

  /** Another connection has to make way before this one is let in. */
  waits(peer: WaitingPeer): void {
    this.#waiting = { peer, sinceMs: this.#context.clock.monotonicMs() };
    if (this.socket.readableEnded || this.socket.destroyed) this.#peerLeft();
  }

  /** CONNECT was accepted: frames are the client's from here on, and still wait for `answered`. */
  accepted(client: ConnectedClient): void {
    this.#client = client;
    this.#peer = client;
    this.#connecting = false;
    this.#waiting = null;
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
    } else if (this.#waiting !== null && nowMs - this.#waiting.sinceMs > limits.connectTimeoutMs) {
      this.#waiting.peer.tooLate();
    } else if (this.#isSilent(client, nowMs)) {
      this.close('keepalive-timeout'); // [MQTT-3.1.2-24]
    } else if (this.#stall.lastsMs(outbox, nowMs) > limits.drainTimeoutMs) {
      this.close('drain-timeout');
    } else if (!outbox.busy) {
      // It may have waited for other sockets of its user.
      client?.pump();
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
    this.#waiting = null;
    this.#peer?.account.connections.delete(this);
    this.#peer?.gone(reason);
    this.#closeSocket(reason);
    for (const done of this.#onClosed.splice(0)) done();
  }

  /** Nothing of it is left: whose it was has that much less. */
  #settle(): void {
    this.outbox.close();
    this.#account.balances.connections.add(-CONNECTION_BYTES);
    this.#context.networks.leave(this.#network);
    this.#peer?.settled();
  }

  #closeSocket(reason: CloseReason): void {
    const { socket, outbox } = this;
    if (socket.destroyed || outbox.closed || reason === 'drain-timeout' || reason === 'socket-error') {
      this.#settle();
      socket.destroy();
      return;
    }
    outbox.end(() => socket.end());
    readUntilClosed(socket, this.#context.clock, () => this.#settle());
  }

  /** The socket is gone. What it brought is handled all the same: nothing else will ever bring it again. */
  #socketGone(reason: CloseReason): void {
    this.outbox.close();
    this.#endReason = reason;
    this.#peerLeft();
  }

  /** A peer that goes while it waits is waited for no longer, unless it has sent something behind its CONNECT. */
  #peerLeft(): void {
    this.reader.end();
    if (this.#waiting !== null && !this.reader.waiting) this.close(this.#endReason);
  }
}
