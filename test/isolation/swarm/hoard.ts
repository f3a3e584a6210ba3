import type net from 'node:net';
import { Duplex } from 'node:stream';

/** A TCP connection that keeps back what TLS writes to it, on demand, and sends it in one go. */
export class Hoard extends Duplex {
  readonly #tcp: net.Socket;
  #held: Buffer[] | null = null;

  constructor(tcp: net.Socket) {
    super();
    this.#tcp = tcp;
    tcp.on('data', (bytes) => {
      if (!this.push(bytes)) tcp.pause();
    });
    tcp.on('end', () => this.push(null));
    tcp.on('close', () => this.destroy());
    // Whoever holds the connection hears of it.
    this.on('error', () => {});
  }

  hold(): void {
    this.#held = [];
  }

  release(): void {
    const held = this.#held;
    this.#held = null;
    if (held !== null && !this.#tcp.destroyed) this.#tcp.write(Buffer.concat(held));
  }

  override _read(): void {
    this.#tcp.resume();
  }

  override _write(bytes: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#held === null) {
      this.#tcp.write(bytes, done);
      return;
    }
    this.#held.push(bytes);
    done();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#tcp.end(done);
  }
}
