import type { Duplex } from 'node:stream';
import {
  CONNECT,
  DISCONNECT,
  LARGEST_CONNECT_BYTES,
  PINGREQ,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  SUBSCRIBE,
  UNSUBSCRIBE,
} from '../mqtt/packets.js';
import type { PressurePoint } from '../mqtt/publication.js';
import type { CloseReason } from './close-reason.js';
import { ProtocolError, pingresp } from './codec.js';
import { connect } from './connect.js';
import { type FrameHeader, INCOMPLETE, MALFORMED_LENGTH, PartialFrame, readFrameHeader } from './frames.js';
import type { Incoming } from './incoming.js';
import { Outbox } from './outbox.js';
import type { Services } from './services.js';
import type { Session } from './session.js';
import { subscribe, unsubscribe } from './subscribe.js';
import type { Deferred } from './turn.js';
import type { UserAccount } from './user-account.js';
import type { Will } from './will.js';

/** How long a closed connection may take to deliver its last bytes before its socket is destroyed. */
const LINGER_MS = 2_000;

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
 * One network connection, from its TLS socket to its close. It reads frames from the received bytes, handles the hot
 * ones in place, and hands the others to connect.ts, subscribe.ts and incoming.ts. Each thing it does when it ends
 * (Will, session, registry, socket) is in `close`, the only way out.
 */
export class Connection implements Deferred {
  readonly services: Services;
  readonly socket: Duplex;
  readonly outbox: Outbox;
  readonly address: string;
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
  heardAt: number;
  readonly openedAt: number;

  private state = State.New;
  private partial: PartialFrame | null = null;
  /** Received bytes that wait: for CONNECT's answer, for the user's next share, or for a queue with room. */
  private rest: Buffer | null = null;
  private restAt = 0;
  private halted = false;
  private ended = false;
  private readonly header: FrameHeader = { bodyStart: 0, end: 0 };
  private stalledSince = 0;

  constructor(services: Services, socket: Duplex, address: string) {
    this.services = services;
    this.socket = socket;
    this.outbox = new Outbox(socket, services.turn, this);
    this.outbox.onDrained = () => this.session?.outgoing.pump();
    this.address = address;
    this.openedAt = services.clock.now();
    this.heardAt = this.openedAt;
    socket.on('data', (chunk: Buffer) => this.read(chunk));
    socket.on('end', () => this.onEnd());
    socket.on('error', () => this.onSocketGone('socket-error'));
    socket.on('close', () => this.onSocketGone('peer-closed'));
  }

  get closed(): boolean {
    return this.state === State.Closed;
  }

  get connected(): boolean {
    return this.state === State.Connected;
  }

  /** More is on its way, as far as can be seen: answers wait a moment, so that it is read before they are written. */
  get expectsMore(): boolean {
    return this.partial !== null || this.rest !== null;
  }

  /** aedes's registry closes an older connection of the same client by this [MQTT-3.1.4-2]. */
  takeOver(done: () => void): void {
    this.close('taken-over');
    done();
  }

  /** CONNECT was accepted: what came behind it is handled now. */
  accepted(): void {
    this.state = State.Connected;
    this.resume();
  }

  /** Closed by this broker before CONNECT was accepted, with a CONNACK to say why. */
  refuse(connack: Buffer, reason: CloseReason): void {
    this.services.counters.connectionsRefused++;
    this.outbox.packet(connack);
    this.close(reason);
  }

  /** This connection's publishing fills a queue of its own user: it is read again when there is room. */
  slowDown(queue: PressurePoint): void {
    if (this.halted) return;
    this.halted = true;
    queue.whenRelieved(() => this.resume());
  }

  /** Goes on with bytes left over from an earlier turn. */
  continueReading(): void {
    this.resume();
  }

  /** Checks the deadlines; called about once a second. */
  tick(now: number): void {
    if (this.state === State.Closed) return;
    const { limits } = this.services;
    if (this.state === State.New && now - this.openedAt > limits.connectTimeoutMs) {
      this.close('connect-timeout');
      return;
    }
    if (this.keepaliveMs > 0 && now - this.heardAt > this.keepaliveMs && this.rest === null) {
      this.close('keepalive-timeout'); // [MQTT-3.1.2-24]
      return;
    }
    if (!this.outbox.busy) this.stalledSince = 0;
    else if (this.stalledSince === 0 || this.outbox.writes !== this.stalledWrites) {
      this.stalledSince = now;
      this.stalledWrites = this.outbox.writes;
    } else if (now - this.stalledSince > limits.drainTimeoutMs) this.close('drain-timeout');
  }
  private stalledWrites = 0;

  /** Ends the connection, once. A `disconnect` is the client's own word: its Will is dropped [MQTT-3.14.4-3]. */
  close(reason: CloseReason, detail?: string): void {
    if (this.state === State.Closed) return;
    const wasConnected = this.state === State.Connected;
    this.state = State.Closed;
    this.rest = null;
    this.partial = null;
    const { services, session, account } = this;
    account?.connections.delete(this);
    services.connections.delete(this);
    this.logClose(reason, detail, wasConnected);
    if (wasConnected) {
      services.hub.unregister(this);
      if (session !== null) services.sessions.leave(session);
      if (this.will !== null) {
        if (reason === 'disconnect') this.will.discard();
        else this.will.fire();
      }
    }
    if (account !== null) services.sessions.release(account);
    this.closeSocket(reason);
  }

  private closeSocket(reason: CloseReason): void {
    const { socket, outbox } = this;
    if (socket.destroyed) {
      outbox.close();
      return;
    }
    if (reason === 'drain-timeout' || reason === 'socket-error') {
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

  private onEnd(): void {
    this.ended = true;
    if (this.rest === null && this.state !== State.Connecting) this.close('peer-closed');
  }

  /** The socket is gone. What it brought is handled all the same: acknowledged or not, it was sent. */
  private onSocketGone(reason: CloseReason): void {
    this.ended = true;
    if (this.state === State.Connected && this.rest !== null) this.finishReading();
    if (this.state !== State.Connecting) this.close(reason);
  }

  private finishReading(): void {
    const { rest } = this;
    this.rest = null;
    this.halted = false;
    if (rest !== null) this.guarded(rest, this.restAt, Number.POSITIVE_INFINITY);
  }

  private resume(): void {
    this.halted = false;
    const { rest } = this;
    if (rest !== null) {
      this.rest = null;
      this.guarded(rest, this.restAt, 0);
      if (this.rest !== null) return;
    }
    if (this.state === State.Closed) return;
    if (this.ended) this.close('peer-closed');
    else this.socket.resume();
  }

  private read(chunk: Buffer): void {
    if (this.state === State.Closed) return;
    this.heardAt = this.services.clock.now();
    this.services.turn.touch();
    if (this.rest !== null) {
      this.rest = Buffer.concat([this.rest.subarray(this.restAt), chunk]);
      this.restAt = 0;
      return;
    }
    this.guarded(chunk, 0, 0);
  }

  private guarded(chunk: Buffer, at: number, budget: number): void {
    try {
      const start = this.partial === null ? at : this.completePartial(chunk, at);
      if (start !== -1) this.process(chunk, start, budget);
    } catch (error) {
      if (error instanceof ProtocolError) this.close('protocol-error', `${error.message} [${error.tag}]`);
      else {
        this.services.log.error({ err: error, login: this.account?.login }, 'a packet could not be handled');
        this.close('internal-error');
      }
    }
  }

  /** Fills up the frame that came in part. Returns where the next one begins in `chunk`; -1 when more is needed. */
  private completePartial(chunk: Buffer, at: number): number {
    const partial = this.partial!;
    let i = at;
    while (i < chunk.length) {
      i = partial.take(chunk, i);
      const { head, frame } = partial;
      if (head !== null) {
        const start = readFrameHeader(head, 0, head.length, this.header);
        if (start === MALFORMED_LENGTH) throw new ProtocolError('MQTT-2.2.3', 'a length field of five bytes');
        if (start === INCOMPLETE) continue;
        this.checkSize(this.header.end);
        partial.setNeeded(this.header.end);
        if (this.header.end > head.length) continue;
      }
      const whole = frame ?? partial.frame;
      if (whole === null) continue;
      this.partial = null;
      this.process(whole, 0, Number.POSITIVE_INFINITY);
      if (this.state === State.Closed) return -1;
      if (!this.halted) return i;
      if (i < chunk.length) this.keepRest(chunk, i);
      return -1;
    }
    return -1;
  }

  /** Handles the frames in `chunk` from `at` on, until they end, must wait, or the user's share of the turn is spent. */
  private process(chunk: Buffer, at: number, budget: number): void {
    const { header } = this;
    const limit = chunk.length;
    const { turn } = this.services;
    let i = at;
    let units = 0;
    while (i < limit) {
      const bodyStart = readFrameHeader(chunk, i, limit, header);
      if (bodyStart < 0) {
        if (bodyStart === MALFORMED_LENGTH) throw new ProtocolError('MQTT-2.2.3', 'a length field of five bytes');
        this.partial = new PartialFrame(chunk, i, 0);
        break;
      }
      const { end } = header;
      if (end - i > LARGEST_UNCHECKED) this.checkSize(end - i);
      if (end > limit) {
        this.partial = new PartialFrame(chunk, i, end - i);
        break;
      }
      const head = chunk[i]!;
      if (head >> 4 === PUBLISH && this.state === State.Connected) {
        units += this.incoming!.publish(chunk, i, bodyStart, end);
      } else {
        this.packet(head, chunk, i, bodyStart, end);
        units++;
      }
      i = end;
      if (this.state === State.Closed) return;
      if (this.halted) {
        this.keepRest(chunk, i);
        break;
      }
      if (units > 63) {
        if (this.account !== null && !turn.spend(this.account, units) && budget === 0 && i < limit) {
          this.keepRest(chunk, i);
          turn.defer(this);
          return;
        }
        units = 0;
      }
    }
    if (this.account !== null && units > 0) turn.spend(this.account, units);
  }

  private keepRest(chunk: Buffer, at: number): void {
    this.rest = chunk;
    this.restAt = at;
    this.socket.pause();
  }

  private checkSize(bytes: number): void {
    const limit = this.state === State.Connected ? this.services.limits.packetBytes : LARGEST_CONNECT_BYTES;
    if (bytes > limit) throw new ProtocolError('too-large', `a packet of ${bytes} bytes; ${limit} are allowed`);
  }

  /** Every packet but the hot PUBLISH. */
  private packet(head: number, chunk: Buffer, start: number, bodyStart: number, end: number): void {
    const type = head >> 4;
    if (this.state !== State.Connected) {
      if (type !== CONNECT || head !== CONNECT << 4) {
        throw new ProtocolError('MQTT-3.1.0-1', 'the first packet is not a CONNECT');
      }
      this.state = State.Connecting;
      this.halted = true;
      connect(this, Buffer.from(chunk.subarray(start, end)), bodyStart - start);
      return;
    }
    switch (type) {
      case PUBACK:
        this.session!.outgoing.puback(this.packetId(head, PUBACK << 4, chunk, bodyStart, end));
        return;
      case PINGREQ:
        if (head !== PINGREQ << 4 || end !== bodyStart) throw new ProtocolError('MQTT-2.2.2-2', 'malformed PINGREQ');
        this.outbox.packet(pingresp);
        return;
      case PUBREC:
        this.release(this.packetId(head, PUBREC << 4, chunk, bodyStart, end));
        return;
      case PUBREL: // [MQTT-3.6.1-1]
        this.incoming!.pubrel(this.packetId(head, (PUBREL << 4) | 2, chunk, bodyStart, end));
        return;
      case PUBCOMP:
        this.session!.outgoing.pubcomp(this.packetId(head, PUBCOMP << 4, chunk, bodyStart, end));
        return;
      case SUBSCRIBE: // [MQTT-3.8.1-1]
        if (head !== ((SUBSCRIBE << 4) | 2)) throw new ProtocolError('MQTT-3.8.1-1', 'reserved bits of SUBSCRIBE');
        subscribe(this, chunk.subarray(start, end));
        return;
      case UNSUBSCRIBE: // [MQTT-3.10.1-1]
        if (head !== ((UNSUBSCRIBE << 4) | 2)) throw new ProtocolError('MQTT-3.10.1-1', 'reserved bits of UNSUBSCRIBE');
        unsubscribe(this, chunk.subarray(start, end));
        return;
      case DISCONNECT:
        if (head !== DISCONNECT << 4) throw new ProtocolError('MQTT-3.14.1-1', 'reserved bits of DISCONNECT');
        if (end !== bodyStart) throw new ProtocolError('malformed', 'DISCONNECT with a body');
        this.close('disconnect');
        return;
      case CONNECT:
        throw new ProtocolError('MQTT-3.1.0-2', 'a second CONNECT');
      default:
        throw new ProtocolError('MQTT-2.2.2-2', `a packet of type ${type}, which clients do not send`);
    }
  }

  /** The packet id that is the whole body of an acknowledgement. */
  private packetId(head: number, expected: number, chunk: Buffer, bodyStart: number, end: number): number {
    if (head !== expected) throw new ProtocolError('MQTT-2.2.2-2', 'reserved bits of an acknowledgement');
    if (end - bodyStart !== 2) throw new ProtocolError('malformed', 'an acknowledgement that is not two bytes long');
    return (chunk[bodyStart]! << 8) | chunk[bodyStart + 1]!;
  }

  /** PUBREC: PUBREL follows once it is on disk that the receiver has the message. */
  private release(packetId: number): void {
    const { outgoing, writer } = this.session!;
    outgoing.pubrec(packetId);
    if (writer === null || this.services.store.idle) {
      outgoing.sendRelease(packetId);
      return;
    }
    this.services.store.committed((fault) => {
      if (fault === null && this.state === State.Connected) outgoing.sendRelease(packetId);
    });
  }
}

/** Frames up to this size need no look at the limits: every limit is larger. */
const LARGEST_UNCHECKED = 1_024;
