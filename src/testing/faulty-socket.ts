import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { Clock } from '../clock.js';
import { readOnAfterWriteError } from '../connection/read-on.js';
import { CONNACK, CONNECT, PUBLISH } from '../mqtt/packets.js';
import { DeliveryLane } from './delivery-lane.js';
import { DropCounter } from './drop-counter.js';
import type { FaultScope } from './fault-api.js';
import type { FaultBoard, FaultRule, Holder } from './fault-board.js';
import { FrameCutter, goodbye, isAcknowledgement, type Piece, readConnect, refusal } from './frames.js';

const bufferedBytes = 65_536;

/**
 * Stands between a TLS socket and the broker's connection, and behaves as the socket does until a fault strikes. Bytes
 * pass as they come; only the CONNECT that a connection begins with is held until it is whole, since it says whom the
 * faults concern.
 */
export class FaultySocket extends Duplex implements Holder {
  readonly #raw: Socket;
  readonly #faults: FaultBoard;
  readonly #changed: () => void;
  readonly #incoming = new FrameCutter();
  readonly #outgoing = new FrameCutter();
  readonly #drops: DropCounter;
  readonly #lane: DeliveryLane;
  /** Empty until CONNECT was seen, and for who does not begin with one. */
  #who: FaultScope = {};
  /** Of the protocol, by CONNECT. */
  #level = 4;
  #connect: Buffer | null = Buffer.alloc(0);
  #stalledBy: FaultRule<unknown> | null = null;
  /** What came from the client and waits for the stall to be over. */
  #waiting: Piece[] = [];
  #held: { readonly rule: FaultRule<unknown>; readonly bytes: Buffer }[] = [];
  /** The client has ended its side … */
  #clientEnded = false;
  /** … and the broker was told. */
  #eof = false;
  /** Broken by a fault: nothing reaches the client any more … */
  #broken = false;
  /** … but the bytes that are being written. */
  #lastWords = false;

  constructor(raw: Socket, { faults, clock, changed }: { faults: FaultBoard; clock: Clock; changed: () => void }) {
    super({ allowHalfOpen: true, highWaterMark: bufferedBytes });
    this.#raw = raw;
    this.#faults = faults;
    this.#changed = changed;
    this.#drops = new DropCounter(faults);
    this.#lane = new DeliveryLane(clock, (bytes) => this.#send(bytes));
    readOnAfterWriteError(raw, clock, () => {});
    raw.on('data', (chunk: Buffer) => this.#received(chunk));
    raw.on('end', () => this.#ended());
    raw.on('error', (error) => this.destroy(error));
    raw.on('close', () => {
      if (!this.#broken && !(this.writableEnded && raw.readableEnded)) this.destroy();
    });
    this.once('close', changed);
    faults.join(this);
  }

  faultLifted(rule: unknown): void {
    const freed = this.#held.filter((each) => each.rule === rule);
    if (freed.length > 0) {
      this.#held = this.#held.filter((each) => each.rule !== rule);
      this.#send(Buffer.concat(freed.map(({ bytes }) => bytes)));
    }
    if (this.#slowing().length === 0) this.#lane.flush();
    if (this.#stalledBy !== rule) return;
    this.#stalledBy = null;
    this.#pass(this.#waiting.splice(0));
    if (this.#stalledBy !== null) return;
    this.#raw.resume();
    if (this.#clientEnded) this.#tellEnd();
  }

  override _read(): void {
    if (this.#stalledBy === null) this.#raw.resume();
  }

  /** What is kept is copied: the outbox writes into the same memory again once `done` is called. */
  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#changed();
    if (this.#broken) {
      done();
      return;
    }
    const out: Buffer[] = [];
    for (const piece of this.#outgoing.cut(chunk)) {
      const { type, bytes } = piece;
      if (type !== CONNACK && this.#saysGoodbye(out)) break;
      const allowed = this.#drops.allows('broker', piece, this.#who);
      if (allowed < bytes.length) {
        this.#breakOff([...out, bytes.subarray(0, allowed)]);
        break;
      }
      if (isAcknowledgement(type)) {
        const lost = this.#faults.strike('loseAcknowledgement', this.#who);
        if (lost?.parameters.keepConnection === true) continue;
        if (lost !== null) {
          this.#breakOff(out);
          break;
        }
        const rule = this.#faults.strike('holdAcknowledgements', this.#who);
        if (rule !== null) this.#held.push({ rule, bytes: Buffer.from(bytes) });
        else out.push(bytes);
      } else if (type !== PUBLISH || !this.#slowedDown(bytes)) {
        out.push(bytes);
      }
      if (this.#drops.due('broker', this.#who)) {
        this.#breakOff(out);
        break;
      }
    }
    if (this.#broken || out.length === 0) this.#lane.ready(done);
    else this.#raw.write(out.length === 1 ? out[0]! : Buffer.concat(out), done);
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#broken) {
      done();
      return;
    }
    this.#lane.flush();
    this.#raw.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#faults.leave(this);
    this.#lane.clear();
    if (!this.#lastWords) this.#raw.destroy();
    done(error);
  }

  #received(chunk: Buffer): void {
    if (this.#broken || this.#eof) return;
    let bytes = chunk;
    if (this.#connect !== null) {
      bytes = Buffer.concat([this.#connect, chunk]);
      const connect = readConnect(bytes);
      if (connect === 'incomplete') {
        this.#connect = bytes;
        return;
      }
      this.#connect = null;
      if (connect !== null) {
        const { login, clientId, level } = connect;
        this.#who = login === undefined ? { clientId } : { login, clientId };
        this.#level = level;
        const refused = this.#faults.strike('refuseConnect', this.#who);
        if (refused !== null) {
          this.#send(refusal(level, refused.parameters.code));
          this.#tellEnd();
          return;
        }
      }
    }
    this.#pass(this.#incoming.cut(bytes));
  }

  /** Hands pieces from the client on to the broker. */
  #pass(pieces: readonly Piece[]): void {
    const passed: Buffer[] = [];
    for (const piece of pieces) {
      if (piece.type !== CONNECT && this.#saysGoodbye([])) {
        this.#forward(passed);
        return;
      }
      if (this.#stalledBy === null && piece.type !== CONNECT) {
        this.#stalledBy = this.#faults.strike('stallReading', this.#who);
        if (this.#stalledBy !== null) this.#raw.pause();
      }
      if (this.#stalledBy !== null) {
        this.#waiting.push(piece);
        continue;
      }
      const allowed = this.#drops.allows('client', piece, this.#who);
      passed.push(piece.bytes.subarray(0, allowed));
      if (allowed === piece.bytes.length && !this.#drops.due('client', this.#who)) continue;
      this.#forward(passed);
      this.#breakOff([]);
      return;
    }
    this.#forward(passed);
  }

  #forward(pieces: readonly Buffer[]): void {
    if (pieces.length === 0) return;
    if (!this.push(pieces.length === 1 ? pieces[0] : Buffer.concat(pieces))) this.#raw.pause();
  }

  #ended(): void {
    this.#clientEnded = true;
    if (this.#connect !== null && this.#connect.length > 0) this.push(this.#connect);
    this.#connect = null;
    if (this.#stalledBy === null) this.#tellEnd();
  }

  #tellEnd(): void {
    if (this.#eof) return;
    this.#eof = true;
    this.push(null);
  }

  #send(bytes: Buffer): void {
    if (this.#raw.writable) this.#raw.write(bytes);
  }

  /** Breaks the connection: the client gets `last` and then nothing, the broker sees that the client is gone. */
  #breakOff(last: readonly Buffer[]): void {
    this.#broken = true;
    this.#lane.clear();
    this.#tellEnd();
    const bytes = Buffer.concat(last);
    if (bytes.length === 0) {
      this.#raw.destroy();
      return;
    }
    this.#lastWords = true;
    this.#raw.write(bytes, () => this.#raw.destroy());
  }

  /** A fault ends the connection here: behind `before`, DISCONNECT is the last that the client gets. */
  #saysGoodbye(before: readonly Buffer[]): boolean {
    const rule = this.#faults.strike('sendDisconnect', this.#who);
    if (rule === null) return false;
    this.#breakOff([...before, goodbye(this.#level, rule.parameters.reasonCode)]);
    return true;
  }

  /** The faults that slow down what this client is sent. */
  #slowing(): FaultRule<unknown>[] {
    return [...this.#faults.all('delayDelivery', this.#who), ...this.#faults.all('throttleDelivery', this.#who)];
  }

  /** True when the message was put into the lane: a fault says so, or others wait there already. */
  #slowedDown(bytes: Buffer): boolean {
    const delay = this.#faults.strike('delayDelivery', this.#who);
    const throttle = this.#faults.strike('throttleDelivery', this.#who);
    if (delay === null && throttle === null && this.#lane.empty) return false;
    const spacingMs = throttle === null ? 0 : (bytes.length * 1000) / throttle.parameters.bytesPerSecond;
    this.#lane.push(Buffer.from(bytes), delay?.parameters.delayMs ?? 0, spacingMs);
    return true;
  }
}
