import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { Clock } from '../clock.js';
import { pauseAtOnce } from '../connection/pause-at-once.js';
import { readOnAfterWriteError } from '../connection/read-on.js';
import {
  BINARY,
  CloseCode,
  closeFrame,
  FrameDecoder,
  frameHeader,
  PONG,
  WebSocketViolation,
} from './websocket-frames.js';

/** Bytes that are buffered each way before the other side is asked to wait. */
const highWaterMark = 65_536;
/** Up to this size header and payload are one buffer; beyond it copying costs more than a second buffer. */
const COPIED_BYTES = 4_096;
/** Frames without data, within a second, that somebody may have a use for. */
const IDLE_FRAMES = 100;

/**
 * The bytes inside of a WebSocket, as a connection takes them: what arrives in binary frames [MQTT-6.0.0-1], wherever
 * those begin and end [MQTT-6.0.0-2], and for each write a frame. Emits `violation` when the peer breaks the rules.
 */
export class WebSocketStream extends Duplex {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #decoder: FrameDecoder;
  #closeCode: number = CloseCode.NORMAL;
  /** Nothing that comes is looked at any more. */
  #deaf = false;
  #ended = false;
  #ponging = false;
  /** The newest ping is the one to answer (RFC 6455, 5.5.3): a second one waits at the most. */
  #pong: Buffer | null = null;
  #idleFrames = 0;
  #idleSinceMs = 0;

  /** `head` has come already. */
  constructor(socket: Socket, head: Buffer, clock: Clock) {
    super({ highWaterMark });
    this.#socket = socket;
    this.#clock = clock;
    this.#decoder = new FrameDecoder({ pinged: (payload) => this.#answer(payload), idle: () => this.#countIdle() });
    pauseAtOnce(socket);
    readOnAfterWriteError(socket, clock, () => {});
    if (head.length > 0) socket.unshift(head);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => this.#endReading());
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
  }

  override _read(): void {
    this.#socket.resume();
  }

  override pause(): this {
    super.pause();
    this.#socket.pause();
    return this;
  }

  override resume(): this {
    this.#socket.resume();
    return super.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const socket = this.#socket;
    const header = frameHeader(BINARY, chunk.length);
    if (chunk.length <= COPIED_BYTES) {
      socket.write(Buffer.concat([header, chunk]), done);
      return;
    }
    // In one record, as if they were one.
    socket.cork();
    socket.write(header);
    socket.write(chunk, done);
    socket.uncork();
  }

  override _final(done: () => void): void {
    this.#socket.end(closeFrame(this.#closeCode), () => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #receive(chunk: Buffer): void {
    if (this.#deaf) return;
    let data: Buffer;
    try {
      data = this.#decoder.read(chunk);
    } catch (error) {
      this.#violated(error as Error);
      return;
    }
    if (data.length > 0 && !this.push(data)) this.#socket.pause();
    if (this.#decoder.closed) this.#endReading();
  }

  #violated(error: Error): void {
    this.#deaf = true;
    if (!(error instanceof WebSocketViolation)) throw error;
    this.#closeCode = error.code;
    this.emit('violation', error);
  }

  #endReading(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#deaf = true;
    this.push(null);
  }

  #answer(payload: Buffer): void {
    if (this.#ponging) {
      this.#pong = payload;
      return;
    }
    if (this.writableEnded || this.destroyed) return;
    this.#ponging = true;
    this.#socket.write(Buffer.concat([frameHeader(PONG, payload.length), payload]), () => {
      this.#ponging = false;
      const next = this.#pong;
      this.#pong = null;
      if (next !== null) this.#answer(next);
    });
  }

  /** Pings, pongs and empty frames cost work that nobody's share of it is charged with. */
  #countIdle(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#idleSinceMs > 1_000) {
      this.#idleSinceMs = nowMs;
      this.#idleFrames = 0;
    }
    if (++this.#idleFrames <= IDLE_FRAMES) return;
    throw new WebSocketViolation('too-many', `more than ${IDLE_FRAMES} frames without data in a second`);
  }
}
