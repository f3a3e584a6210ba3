import net from 'node:net';
import tls from 'node:tls';
import { type Answer, AnswerReader } from './answers.js';
import { Hoard } from './hoard.js';

/** Where the broker listens. */
export interface Target {
  readonly host: string;
  readonly port: number;
  /** Where operators ask for its health. */
  readonly adminPort: number;
  /** PEM of the authority that signed the server's certificate. */
  readonly ca: string;
}

export interface LinkOptions {
  readonly target: Target;
  /** Shared by all links of a process: it is dear. */
  readonly context: tls.SecureContext;
  readonly localAddress: string;
  /** What is dribbled leaves in one go. */
  readonly hoards?: boolean | undefined;
}

export interface LinkHandler {
  onAnswer(answer: Answer): void;
  /** Once, whoever ended it. */
  onClose(): void;
}

/** What may wait in this process to be sent; beyond that the sender waits. */
const highWaterBytes = 256 * 1024;
const openTimeoutMs = 60_000;

/** A TLS connection that sends bytes as given and hands out what the broker says. */
export class Link {
  readonly #tcp: net.Socket;
  readonly #socket: tls.TLSSocket;
  readonly #hoard: Hoard | null;
  #open = true;
  sentBytes = 0;

  private constructor(tcp: net.Socket, socket: tls.TLSSocket, hoard: Hoard | null, handler: LinkHandler) {
    this.#tcp = tcp;
    this.#socket = socket;
    this.#hoard = hoard;
    const reader = new AnswerReader();
    socket.on('data', (chunk: Buffer) => {
      for (const answer of reader.read(chunk)) handler.onAnswer(answer);
    });
    // A reset is an ordinary end here; 'close' follows.
    socket.on('error', () => {});
    socket.on('end', () => socket.destroy());
    socket.once('close', () => {
      this.#open = false;
      handler.onClose();
    });
  }

  /** Rejects when the TLS connection does not come about. */
  static open({ target, context, localAddress, hoards }: LinkOptions, handler: LinkHandler): Promise<Link> {
    return new Promise((resolve, reject) => {
      const { host, port } = target;
      const tcp = net.connect({ host, port, localAddress, noDelay: true });
      const hoard = hoards ? new Hoard(tcp) : null;
      const socket = tls.connect({ socket: hoard ?? tcp, servername: 'localhost', secureContext: context });
      const timer = setTimeout(() => socket.destroy(new Error('no TLS connection in time')), openTimeoutMs);
      const failed = (error?: Error) => {
        clearTimeout(timer);
        reject(error ?? new Error('closed while it was being opened'));
      };
      tcp.once('error', failed);
      socket.once('error', failed);
      socket.once('close', () => failed());
      socket.once('secureConnect', () => {
        clearTimeout(timer);
        resolve(new Link(tcp, socket, hoard, handler));
      });
    });
  }

  get open(): boolean {
    return this.#open;
  }

  /** Resolves when more may be sent, or when there is nobody any more who would take it. */
  async send(...parts: readonly Uint8Array[]): Promise<void> {
    if (!this.#open) return;
    for (const part of parts) {
      this.sentBytes += part.length;
      this.#socket.write(part);
    }
    if (this.#socket.writableLength < highWaterBytes) return;
    await new Promise<void>((resolve) => {
      const go = () => {
        this.#socket.off('drain', go);
        this.#socket.off('close', go);
        resolve();
      };
      this.#socket.on('drain', go);
      this.#socket.on('close', go);
    });
  }

  /** One TLS record for each byte. Resolves when all of them have left, or the connection has ended. */
  async dribble(bytes: Buffer): Promise<void> {
    this.#hoard?.hold();
    for (let at = 0; at < bytes.length && this.#open; at += 1) {
      const byte = bytes.subarray(at, at + 1);
      this.sentBytes += 1;
      // What is written before the one before it has left would share its record.
      await new Promise<void>((resolve) => {
        this.#socket.once('close', resolve);
        this.#socket.write(byte, () => {
          this.#socket.off('close', resolve);
          resolve();
        });
      });
    }
    this.#hoard?.release();
  }

  set reading(on: boolean) {
    if (on) this.#socket.resume();
    else this.#socket.pause();
  }

  /** A TCP reset. */
  cut(): void {
    this.#tcp.resetAndDestroy();
    this.#socket.destroy();
  }

  /** Resolves when the connection is gone, by the broker's doing if that is quick. */
  end(): void {
    this.#socket.end();
    setTimeout(() => this.#socket.destroy(), 1_000).unref();
  }
}
