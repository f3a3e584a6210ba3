import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import tls from 'node:tls';
import * as mqtt from './packets.js';
import { proxyHeader } from './proxy-headers.js';
import { openWebSocket } from './web-socket.js';

/** Where a broker listens. */
export interface Target {
  readonly host: string;
  readonly port: number;
  /** PEM of the authority that signed the server's certificate. */
  readonly ca: string;
  /** The port for browsers. */
  readonly webPort?: number | null;
  /** Given: clients come in by this Unix socket, as from a proxy that has ended TLS: a connection costs a tenth. */
  readonly proxySocket?: string;
}

/** `TEST_TRANSPORT=websocket npm test -- conformance` has all raw clients come over WebSocket. */
export const overWebSocket = process.env.TEST_TRANSPORT === 'websocket';

export interface RawConnectOptions extends mqtt.ConnectOptions {
  /** Default `alice`; `null` leaves the user name out. */
  readonly as?: string | null;
}

/** The password that the test brokers give to each of their users. */
export const passwordOf = (login: string): string => `${login}-secret`;

const deadlineMs = 5_000;
let counter = 0;
/** A client id that no other test uses. At most 23 characters, as MQTT 3.1 wants it. */
export const freshId = (prefix = 'c'): string => `${prefix}${process.pid}x${++counter}`;

const contexts = new Map<string, tls.SecureContext>();
/** Made once for each authority: it is a third of what a connection costs. */
export function contextFor(ca: string): tls.SecureContext {
  const context = contexts.get(ca) ?? tls.createSecureContext({ ca });
  contexts.set(ca, context);
  return context;
}

/** By port: the session of the first connection, which the next ones go on with. A third of what is left. */
const sessions = new Map<number, Buffer>();

/**
 * A client that sends bytes as given and hands out packets as they come. Every wait has a deadline. `next` is strict
 * about order; `take` picks the first packet of a kind and leaves the others for later.
 */
export class RawClient implements AsyncDisposable {
  /** What is sent and received: inside of TLS, or of a WebSocket in it. */
  readonly socket: Duplex;
  /** Null for one that a proxy relays. */
  readonly tls: tls.TLSSocket | null;
  readonly clientId: string;
  /** Inside of TLS. */
  sentBytes = 0;
  receivedBytes = 0;
  readonly #tcp: net.Socket;
  #packets: mqtt.Packet[] = [];
  #over: Error | null = null;
  #wakers: (() => void)[] = [];
  #nextId = 1;

  private constructor(secure: tls.TLSSocket | null, socket: Duplex, tcp: net.Socket, clientId: string) {
    this.tls = secure;
    this.socket = socket;
    this.#tcp = tcp;
    this.clientId = clientId;
    const reader = new mqtt.PacketReader();
    socket.on('data', (bytes: Buffer) => {
      this.receivedBytes += bytes.length;
      try {
        for (const packet of reader.read(bytes)) this.#packets.push(packet);
      } catch (error) {
        this.#over ??= error as Error;
      }
      this.#wake();
    });
    socket.on('error', (error) => this.#end(error));
    socket.on('end', () => this.#end(new Error('closed by the broker')));
    socket.on('close', () => this.#end(new Error('closed by the broker')));
  }

  /** Opens the TLS connection and says nothing yet. With options of its own it goes on with no earlier session. */
  static open(target: Target, options: tls.ConnectionOptions = {}, clientId = freshId()): Promise<RawClient> {
    if (target.proxySocket !== undefined) return RawClient.#relayed(target.proxySocket, clientId);
    return new Promise((resolve, reject) => {
      const port = overWebSocket ? target.webPort! : target.port;
      const tcp = net.connect({ host: target.host, port, noDelay: true });
      tcp.once('error', reject);
      const usual = Object.keys(options).length === 0;
      const known = usual ? { secureContext: contextFor(target.ca), session: sessions.get(port) } : {};
      const socket = tls.connect({ socket: tcp, servername: 'localhost', ca: target.ca, ...known, ...options });
      socket.once('error', reject);
      socket.once('secureConnect', () => {
        socket.off('error', reject);
        // A broker that was started anew knows none of the former one.
        if (usual && !socket.isSessionReused()) socket.once('session', (session) => sessions.set(port, session));
        if (!overWebSocket) resolve(new RawClient(socket, socket, tcp, clientId));
        else openWebSocket(socket).then((stream) => resolve(new RawClient(socket, stream, tcp, clientId)), reject);
      });
    });
  }

  static async #relayed(path: string, clientId: string): Promise<RawClient> {
    const socket = net.connect({ path });
    await once(socket, 'connect');
    socket.write(proxyHeader({ address: '192.0.2.7' }));
    return new RawClient(null, socket, socket, clientId);
  }

  /** Opens, sends a CONNECT with a fresh client id, and expects to be let in. */
  static async connect(target: Target, options: RawConnectOptions = {}): Promise<RawClient> {
    const { client, code } = await RawClient.attempt(target, options);
    assert.equal(code, 0, `CONNACK return code of ${client.clientId}`);
    return client;
  }

  /** Opens, sends a CONNECT, and tells what the CONNACK says. */
  static async attempt(
    target: Target,
    options: RawConnectOptions = {},
  ): Promise<{ client: RawClient; code: number; sessionPresent: boolean; bytes: Buffer }> {
    const clientId = options.clientId ?? freshId();
    const client = await RawClient.open(target, {}, clientId.toString());
    client.send(connectPacket({ ...options, clientId }));
    const connack = await client.next();
    assert.equal(connack.type, mqtt.CONNACK, 'the first packet from the broker is a CONNACK [MQTT-3.2.0-1]');
    return { client, code: connack.body[1] ?? -1, sessionPresent: connack.body[0] === 1, bytes: connack.body };
  }

  send(...packets: readonly Uint8Array[]): void {
    const bytes = Buffer.concat(packets);
    this.sentBytes += bytes.length;
    this.socket.write(bytes);
  }

  /** Packets that have come in and nobody has asked for. */
  get waiting(): readonly mqtt.Packet[] {
    return this.#packets;
  }

  get isOver(): boolean {
    return this.#over !== null;
  }

  /** The next packet, whatever it is. */
  async next(timeoutMs = deadlineMs): Promise<mqtt.Packet> {
    return this.#find(() => true, 'a packet', timeoutMs);
  }

  /** The first packet of this type; earlier ones of other types stay where they are. */
  async take(type: number, timeoutMs = deadlineMs): Promise<mqtt.Packet> {
    return this.#find((packet) => packet.type === type, `a packet of type ${type}`, timeoutMs);
  }

  /** The next packet, which must be a PUBLISH. Does not acknowledge. */
  async message(timeoutMs = deadlineMs): Promise<mqtt.Message> {
    return mqtt.readMessage(await this.next(timeoutMs));
  }

  /** The next message, whatever other packets came before it, acknowledged to the end of its flow. */
  async receive(timeoutMs = deadlineMs): Promise<mqtt.Message> {
    const message = mqtt.readMessage(await this.take(mqtt.PUBLISH, timeoutMs));
    if (message.qos === 1) this.send(mqtt.puback(message.id));
    if (message.qos === 2) {
      this.send(mqtt.pubrec(message.id));
      const { body } = await this.take(mqtt.PUBREL, timeoutMs);
      assert.equal(body.readUInt16BE(0), message.id);
      this.send(mqtt.pubcomp(message.id));
    }
    return message;
  }

  /** Subscribes and resolves with the return codes. */
  async subscribe(...filters: readonly (readonly [filter: mqtt.Bytes, qos: number])[]): Promise<number[]> {
    const id = this.nextId();
    this.send(mqtt.subscribe(id, ...filters));
    const { body } = await this.take(mqtt.SUBACK);
    assert.equal(body.readUInt16BE(0), id, 'packet id of the SUBACK');
    return [...body.subarray(2)];
  }

  async unsubscribe(...filters: readonly mqtt.Bytes[]): Promise<void> {
    const id = this.nextId();
    this.send(mqtt.unsubscribe(id, ...filters));
    const { body } = await this.take(mqtt.UNSUBACK);
    assert.equal(body.readUInt16BE(0), id, 'packet id of the UNSUBACK');
  }

  /** Publishes and resolves when the flow is over; at QoS 0 when a PINGREQ sent behind it was answered. */
  async publish(topic: mqtt.Bytes, payload: mqtt.Bytes = '', options: mqtt.PublishOptions = {}): Promise<void> {
    const { qos = 0 } = options;
    if (qos === 0) {
      this.send(mqtt.publish(topic, payload, options), mqtt.pingreq());
      await this.take(mqtt.PINGRESP);
      return;
    }
    const id = options.id ?? this.nextId();
    this.send(mqtt.publish(topic, payload, { ...options, id }));
    const answer = await this.take(qos === 1 ? mqtt.PUBACK : mqtt.PUBREC);
    assert.equal(answer.body.readUInt16BE(0), id, 'packet id of the acknowledgement');
    if (qos === 1) return;
    this.send(mqtt.pubrel(id));
    assert.equal((await this.take(mqtt.PUBCOMP)).body.readUInt16BE(0), id, 'packet id of the PUBCOMP');
  }

  /** A packet id, counting up. */
  nextId(): number {
    const id = this.#nextId;
    this.#nextId = (id % 65535) + 1;
    return id;
  }

  /** Nothing has come and nothing is on its way: the answer to a PINGREQ is the very next packet. */
  async expectNothing(what = 'nothing but the PINGRESP'): Promise<void> {
    this.send(mqtt.pingreq());
    const { type, flags, body } = await this.next();
    assert.equal(type, mqtt.PINGRESP, `${what}, but got type ${type}, flags ${flags}: ${body.toString('latin1')}`);
  }

  /** The broker closes, and says nothing before it does. */
  async expectClose(timeoutMs = deadlineMs): Promise<void> {
    await this.closed(timeoutMs);
    const types = this.#packets.map((packet) => packet.type);
    assert.deepEqual(types, [], 'the broker closes without a further packet');
  }

  /** Resolves when the broker has closed, whatever it said before. */
  async closed(timeoutMs = deadlineMs): Promise<void> {
    const until = Date.now() + timeoutMs;
    while (!this.#over) await this.#change(until, 'the broker to close');
  }

  /** DISCONNECT, then wait for the broker to close. */
  async disconnect(): Promise<void> {
    this.send(mqtt.disconnect());
    await this.closed();
    this.socket.destroy();
  }

  /** Drops the connection without a word, as a cut cable would (a TCP reset, where it is TCP). */
  cut(): void {
    // libuv can't reset a socket that is being shut down: it would stay half open, and the process would never end.
    if (this.tls === null || this.#over || this.#tcp.writableEnded) this.socket.destroy();
    else this.#tcp.resetAndDestroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.socket.closed) return;
    const gone = new Promise((resolve) => this.socket.once('close', resolve));
    this.socket.destroy();
    await gone;
  }

  async #find(wanted: (packet: mqtt.Packet) => boolean, what: string, timeoutMs: number): Promise<mqtt.Packet> {
    const until = Date.now() + timeoutMs;
    for (;;) {
      // The usual case is that the first one is wanted: shift() keeps 20 000 messages from costing 20 000 copies.
      const index = this.#packets.findIndex(wanted);
      const found = index === 0 ? this.#packets.shift() : index > 0 ? this.#packets.splice(index, 1)[0] : undefined;
      if (found) return found;
      if (this.#over) throw new Error(`${this.clientId} waited for ${what}: ${this.#over.message}`);
      await this.#change(until, what);
    }
  }

  async #change(until: number, what: string): Promise<void> {
    const left = until - Date.now();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`${this.clientId}: waited too long for ${what}; got types ${this.#types()}`)),
        Math.max(left, 0),
      );
    });
    try {
      await Promise.race([new Promise<void>((resolve) => this.#wakers.push(resolve)), late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #types(): string {
    return JSON.stringify(this.#packets.slice(0, 20).map((packet) => packet.type));
  }

  #end(error: Error): void {
    this.#over ??= error;
    this.#wake();
  }

  #wake(): void {
    const wakers = this.#wakers;
    this.#wakers = [];
    for (const wake of wakers) wake();
  }
}

/** A CONNECT with the credentials of one of the test users. */
export function connectPacket({ as = 'alice', ...options }: RawConnectOptions = {}): Buffer {
  const credentials = as === null ? {} : { login: as, password: passwordOf(as) };
  return mqtt.connect({ clientId: freshId(), ...credentials, ...options });
}
