import type net from 'node:net';
import type { Clock } from '../clock.js';
import type { LimitsConfig } from '../config/config.js';
import { networkOf, type Transport } from '../network.js';
import type { Log } from '../observe/log.js';
import { createRateLimited, type RateLimited } from '../observe/rate-limited.js';
import { Admission } from './admission.js';
import type { HandshakeEnd } from './handshake.js';
import type { Turns } from './handshake-queue.js';

export interface Peer {
  /** IPv4 addresses in dotted form, also on a dual-stack socket. */
  readonly address: string;
  readonly port: number;
  readonly transport: Transport;
}

/**
 * Takes over a socket that is secure, or a proxy's: it must listen for `error` and `close`, and end its side itself when
 * the peer has (`allowHalfOpen`), after answering what came before.
 */
export type OnConnection = (socket: net.Socket, peer: Peer) => void;

/** Hears of what comes in and does not get as far as a client. */
export interface ListenerWitness {
  handshake(result: HandshakeEnd['kind'], resumed: boolean, seconds: number): void;
  refused(reason: 'connections' | 'connectionsPerAddress'): void;
}

export type ReceptionLimits = Pick<LimitsConfig, 'handshakeTimeoutMs' | 'connections' | 'connectionsPerAddress'>;

/** One place where connections come in. */
export interface Door {
  /** The port in use: what the system chose when the configuration says 0. Null for what is no port. */
  readonly port: number | null;
  /** Lets nobody in any more. */
  stopAccepting(): void;
  /** Resolves when it is shut and every connection that came in by it has ended. */
  readonly closed: Promise<void>;
}

/** A peer can cause these lines at will, so one address gets one line of a kind per period. */
const quietMs = 60_000;

/** What all doors share: who is in, who may come in, and the lines about those who may not. */
export class Reception {
  readonly limits: ReceptionLimits;
  readonly clock: Clock;
  readonly log: Log;
  readonly witness: ListenerWitness | undefined;
  readonly turns: Turns;
  readonly #onConnection: OnConnection;
  readonly #admission: Admission;
  readonly #quiet: RateLimited;
  readonly #servers = new Map<net.Server, number>();
  readonly #open = new Set<net.Socket>();
  /** In their handshake: not handed over yet. */
  readonly #arriving = new Set<net.Socket>();
  #accepting = true;

  constructor(options: {
    readonly limits: ReceptionLimits;
    readonly log: Log;
    readonly clock: Clock;
    readonly onConnection: OnConnection;
    readonly turns: Turns;
    readonly witness?: ListenerWitness;
  }) {
    this.limits = options.limits;
    this.clock = options.clock;
    this.log = options.log;
    this.witness = options.witness;
    this.turns = options.turns;
    this.#onConnection = options.onConnection;
    this.#admission = new Admission(options.limits);
    this.#quiet = createRateLimited({ clock: options.clock, periodMs: quietMs });
  }

  /** Connections from accept to close, those in their handshake included. */
  get connections(): number {
    return this.#open.size;
  }

  /** Sets up a door's server: how many may be in, `spare` ones among them, and what a failing accept says. */
  watch(server: net.Server, spare = 0): void {
    this.#servers.set(server, spare);
    server.maxConnections = this.limits.connections + spare;
    server.on('drop', () => this.#full());
    // Accepting may fail for a moment (no file descriptor left); the server goes on.
    server.on('error', (error) =>
      this.warn('accept-failed', 'any', {}, `Accepting a connection failed: ${error.message}`),
    );
  }

  /** The limits that it was given have other values now. */
  limitsChanged(): void {
    for (const [server, spare] of this.#servers) server.maxConnections = this.limits.connections + spare;
  }

  /**
   * Counts a connection that was just accepted, until it closes. False: it is one too many, and closed. With `spare` ones
   * it is to be seen by `fits` whether it may stay.
   */
  enter(raw: net.Socket, spare = 0): boolean {
    this.turns.came();
    // Each door's server holds the limit by itself; this is for all doors together.
    if (!this.#accepting || this.#open.size >= this.limits.connections + spare) {
      if (this.#accepting) this.#full();
      raw.destroy();
      return false;
    }
    this.#open.add(raw);
    this.#arriving.add(raw);
    raw.once('close', () => {
      this.#open.delete(raw);
      this.#arriving.delete(raw);
    });
    return true;
  }

  /** False: what has entered is one too many, and closed. */
  fits(raw: net.Socket): boolean {
    if (this.#open.size <= this.limits.connections) return true;
    this.#full();
    raw.destroy();
    return false;
  }

  /** Counts it against its network, until it closes. False: the network has as many as it may, and it is closed. */
  admit(raw: net.Socket, network: string): boolean {
    if (this.#admission.admit(network)) {
      raw.once('close', () => this.#admission.release(network));
      return true;
    }
    raw.destroy();
    this.witness?.refused('connectionsPerAddress');
    const message = `Connection refused: ${network} has as many as limits.connectionsPerAddress allows`;
    this.warn('address-full', network, { limit: this.limits.connectionsPerAddress }, message);
    return false;
  }

  /** The handshake of `raw` is done, and `socket` is what to read and write: for MQTT, or for whom a door has it. */
  handOver(raw: net.Socket, socket: net.Socket, peer: Peer, to = this.#onConnection): void {
    this.#arriving.delete(raw);
    if (this.#accepting) to(socket, peer);
    else socket.destroy();
  }

  /** By network and reason: who mends one mistake and makes another has to see the new one at once. */
  warn(event: string, address: string, fields: { reason?: string; limit?: number }, message: string): void {
    if (!this.#accepting) return;
    this.#quiet.network(networkOf(address)).line(`${event} ${fields.reason}`, (suppressed) => {
      this.log.warn({ event, address, ...fields, ...(suppressed > 0 ? { suppressed } : {}) }, message);
    });
  }

  /** Ends handshakes in progress; connections that were handed over go on. */
  stopAccepting(): void {
    this.#accepting = false;
    for (const raw of this.#arriving) raw.destroy();
  }

  /** Ends every connection. */
  close(): void {
    this.stopAccepting();
    this.#quiet.close();
    for (const raw of this.#open) raw.destroy();
  }

  #full(): void {
    this.witness?.refused('connections');
    const message = 'Connection refused: there are as many as limits.connections allows';
    this.warn('broker-full', 'any', { limit: this.limits.connections }, message);
  }
}
