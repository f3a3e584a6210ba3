import type { Duplex } from 'node:stream';
import { LARGEST_CONNECT_BYTES, PUBACK, PUBLISH } from '../mqtt/packets.js';
import type { PressurePoint } from '../mqtt/publication.js';
import type { CloseReason } from './close-reason.js';
import { ProtocolError } from './codec.js';
import { connectPacket, controlPacket } from './dispatch.js';
import { type FrameHandler, FrameReader } from './frame-reader.js';
import type { Incoming } from './incoming.js';
import { Outbox } from './outbox.js';
import { readOnAfterWriteError } from './read-on.js';
import type { Services } from './services.js';
import type { Session } from './session.js';
import type { UserAccount } from './user-account.js';
import type { Will } from './will.js';

/** How long a closed connection may take to deliver its last bytes before its socket is destroyed. */
const LINGER_MS = 2_000;

/** What CONNECT packets that have come in part may take, all together. */
const STRANGERS_BYTES = 64 * 1024 * 1024;

/** Where a connection is in its life. */
enum State {
  /** Nothing but a CONNECT is accepted [MQTT-3.1.0-1]. */
  New,
  /** CONNECT is being checked; what follows it waits. */
  Connecting,
  Connected,
  Closed,
}

/**
 * One network connection, from its TLS socket to its close. FrameReader cuts what arrives into frames; a PUBLISH goes
 * to Incoming, everything else to dispatch.ts; what leaves goes through the Outbox. Everything that has to happen when
 * a connection ends (registry, session, Will, socket) is in `close`, the only way out.
 */
export class Connection implements FrameHandler {
  readonly services: Services;
  readonly outbox: Outbox;
  readonly address: string;
  readonly socket: Duplex;
  /** aedes's registry knows connections by this id: `<login>/<client id>`; empty before CONNECT. */
  id = '';
  account: UserAccount | null = null;
  session: Session | null = null;
  incoming: Incoming | null = null;
  will: Will | null = null;
  /** What the credential backend needs to check later whether the user is still entitled. */
  proof: unknown = null;
  /** Milliseconds without a packet after which the connection is closed [MQTT-3.1.2-24]; 0: never. */
  keepaliveMs = 0;

  private readonly reader: FrameReader;
  private readonly openedAt: number;
  private heardAt: number;
  private state = State.New;
  private endReason: CloseReason = 'peer-closed';
  private stalledSince = 0;
  private stalledWrites = 0;

  constructor(services: Services, socket: Duplex, address: string) {
    this.services = services;
    this.socket = socket;
    this.address = address;
    this.reader = new FrameReader(socket, services.turn, this);
    this.outbox = new Outbox(socket, services.turn, this.reader);
    this.reader.onResumed = () => this.outbox.resume();
    this.outbox.onDrained = () => this.pump();
    readOnAfterWriteError(socket, services.clock, () => this.outbox.close());
    this.openedAt = services.clock.monotonicMs();
    this.heardAt = this.openedAt;
    socket.on('data', (chunk: Buffer) => {
      this.heardAt = this.services.clock.monotonicMs();
      this.reader.read(chunk);
      if (this.outbox.unheard) this.reader.haltFor(this.outbox);
    });
    socket.on('end', () => this.reader.end());
    socket.on('error', () => this.socketGone('socket-error'));
    socket.on('close', () => this.socketGone('peer-closed'));
  }

  get closed(): boolean {
    return this.state === State.Closed;
  }

  get connected(): boolean {
    return this.state === State.Connected;
  }

  hold(bytes: number): boolean {
    const { account, services } = this;
    const payer = account ?? services.strangers;
    payer.partialBytes += bytes;
    return payer.partialBytes <= (account === null ? STRANGERS_BYTES : services.limits.queuedBytesPerUser);
  }

  get largestFrame(): number {
    return this.state === State.Connected ? this.services.limits.packetBytes : LARGEST_CONNECT_BYTES;
  }

  handle(chunk: Buffer, start: number, bodyStart: number, end: number): number {
    const head = chunk[start]!;
    if (this.state === State.Connected) {
      if (head >> 4 === PUBLISH) return this.incoming!.publish(chunk, start, bodyStart, end);
      if (head === PUBACK << 4 && end - bodyStart === 2) {
        this.session!.outgoing.puback((chunk[bodyStart]! << 8) | chunk[bodyStart + 1]!);
        return 1;
      }
      return controlPacket(this, head, chunk, start, bodyStart, end);
    }
    this.state = State.Connecting;
    this.reader.halt();
    connectPacket(this, head, chunk, start, bodyStart, end);
    return 1;
  }

  finished(): void {
    if (this.state !== State.Connecting) this.close(this.endReason);
  }

  failed(error: unknown): void {
    if (error instanceof ProtocolError) {
      this.close('protocol-error', `${error.message} [${error.tag}]`);
      return;
    }
    this.services.log.error({ err: error, login: this.account?.login }, 'a packet could not be handled');
    this.close('internal-error');
  }

  /** aedes's registry closes an older connection of the same client by this [MQTT-3.1.4-2]. */
  takeOver(done: () => void): void {
    this.makeWay('taken-over');
    done();
  }

  /** Ends the connection once everything that was received on it is handled. */
  makeWay(reason: CloseReason): void {
    if (this.state === State.Connected) this.reader.drain();
    this.close(reason);
  }

  /** CONNECT was accepted. What came behind it waits for `resume`. */
  accepted(): void {
    this.state = State.Connected;
  }

  /** CONNACK is on its way: what came behind CONNECT is handled now. */
  resume(): void {
    this.reader.resume();
  }

  /** Answers CONNECT with a refusal and closes [MQTT-3.2.2-5]. */
  refuse(connack: Buffer): void {
    this.services.counters.connectionsRefused++;
    this.outbox.packet(connack);
    this.close('refused');
  }

  /** Sends what is queued, as far as the user's share of the turn goes. */
  private pump(): void {
    const { account, session } = this;
    if (account === null || session === null || this.closed) return;
    const { turn } = this.services;
    if (turn.spent(account)) turn.deferStarved({ resume: () => this.pump() });
    else turn.spend(account, session.outgoing.pump());
  }

  /** This connection's publishing fills a queue of its own user: it is read again when there is room. */
  slowDown(queue: PressurePoint): void {
    this.reader.haltFor(queue);
  }

  /** Checks the deadlines; called about once a second. */
  tick(now: number): void {
    const { limits } = this.services;
    const { outbox } = this;
    if (this.state === State.New && now - this.openedAt > limits.connectTimeoutMs) {
      this.close('connect-timeout');
    } else if (this.keepaliveMs > 0 && now - this.heardAt > this.keepaliveMs && !this.reader.waiting) {
      this.close('keepalive-timeout'); // [MQTT-3.1.2-24]
    } else if (!outbox.busy) {
      this.stalledSince = 0;
      // It may have waited for other sockets of its user.
      this.pump();
    } else if (this.stalledSince === 0 || outbox.writes !== this.stalledWrites) {
      this.stalledSince = now;
      this.stalledWrites = outbox.writes;
    } else if (now - this.stalledSince > limits.drainTimeoutMs) {
      this.close('drain-timeout');
    }
  }

  /** Ends the connection, once. A `disconnect` is the client's own word: its Will is dropped [MQTT-3.14.4-3]. */
  close(reason: CloseReason, detail?: string): void {
    if (this.state === State.Closed) return;
    const { services, session, account, will } = this;
    const wasConnected = this.state === State.Connected;
    this.state = State.Closed;
    this.reader.close();
    services.connections.delete(this);
    account?.connections.delete(this);
    this.logClose(reason, detail, wasConnected);
    if (wasConnected) {
      services.hub.unregister(this);
      if (session !== null) services.sessions.leave(session);
      if (reason === 'disconnect') will?.discard();
      else will?.fire();
    }
    if (account !== null) services.sessions.release(account);
    this.closeSocket(reason);
  }

  private closeSocket(reason: CloseReason): void {
    const { socket, outbox } = this;
    if (socket.destroyed || outbox.closed || reason === 'drain-timeout' || reason === 'socket-error') {
      outbox.close();
      socket.destroy();
      return;
    }
    // What is owed is written, then the stream ends; what still comes in is read and dropped, so that the peer gets an
    // orderly end and not a reset that would take our last bytes with it.
    outbox.flushNow();
    socket.end();
    socket.resume();
    const cancel = this.services.clock.after(LINGER_MS, () => socket.destroy());
    socket.once('close', () => {
      cancel();
      outbox.close();
    });
  }

  private logClose(reason: CloseReason, detail: string | undefined, wasConnected: boolean): void {
    const { log, noisyLog } = this.services;
    const why = detail === undefined ? { reason } : { reason, detail };
    if (wasConnected) {
      log.info({ login: this.account!.login, client: this.session?.clientId, ...why }, 'disconnected');
    } else if (reason !== 'refused') {
      noisyLog.line(`closed:${this.address}`, (suppressed) =>
        log.info(
          { address: this.address, ...why, ...(suppressed > 0 ? { suppressed } : {}) },
          'connection closed before CONNECT was accepted',
        ),
      );
    }
  }

  /** The socket is gone. What it brought is handled all the same: nothing else will ever bring it again. */
  private socketGone(reason: CloseReason): void {
    this.outbox.close();
    this.endReason = reason;
    this.reader.end();
  }
}
