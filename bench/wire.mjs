// The client side of MQTT 3.1.1 and 5 over TLS, as cheap as can be: on two cores the load must leave one to the broker.
import tls from 'node:tls';

export const u16 = (value) => Buffer.from([value >> 8, value & 255]);

export function text(value) {
  const bytes = Buffer.from(value);
  return Buffer.concat([u16(bytes.length), bytes]);
}

export function packet(head, ...body) {
  const bytes = Buffer.concat(body);
  const length = [];
  let rest = bytes.length;
  do {
    const digit = rest % 128;
    rest = Math.floor(rest / 128);
    length.push(rest > 0 ? digit | 128 : digit);
  } while (rest > 0);
  return Buffer.concat([Buffer.from([head, ...length]), bytes]);
}

/** No properties, where the version has them. */
export const noProperties = (version) => Buffer.alloc(version === 5 ? 1 : 0);

/** A session of MQTT 5 that is to be kept says for how long: an hour. */
const connectProperties = (version, clean) =>
  version === 5 && !clean ? Buffer.from([5, 0x11, 0, 0, 0x0e, 0x10]) : noProperties(version);

export const connectPacket = (clientId, { login, password }, clean = true, version = 4) =>
  packet(
    0x10,
    text('MQTT'),
    Buffer.from([version, 0xc0 | (clean ? 2 : 0), 0, 0]),
    connectProperties(version, clean),
    text(clientId),
    text(login),
    text(password),
  );

export const subscribePacket = (id, filters, qos, version = 4) =>
  packet(0x82, u16(id), noProperties(version), ...filters.flatMap((filter) => [text(filter), Buffer.from([qos])]));

export const unsubscribePacket = (id, filter) => packet(0xa2, u16(id), text(filter));

/** One connection. `onPacket(head, bytes, start, end)` is called for each packet; `after()` once per received chunk. */
export class Peer {
  /** The beginning of a packet, in pieces; `#needed` bytes make it whole, as far as is known. */
  #pieces = [];
  #have = 0;
  #needed = 0;
  #waiting = [];
  onPacket = null;
  after = null;

  static connect({ port, secureContext }, clientId, user, clean = true, version = 4) {
    return new Promise((resolve, reject) => {
      const peer = new Peer();
      peer.version = version;
      peer.socket = tls.connect({ host: '127.0.0.1', port, servername: 'localhost', secureContext }, () => {
        peer.socket.setNoDelay(true);
        peer.request(connectPacket(clientId, user, clean, version), 2).then((connack) => {
          if (connack[3] === 0) resolve(peer);
          else reject(new Error(`${clientId}: refused with return code ${connack[3]}`));
        }, reject);
      });
      peer.socket.on('data', (bytes) => peer.#read(bytes));
      peer.socket.on('error', (error) => peer.#fail(error, reject));
      peer.socket.on('close', () => peer.#fail(new Error(`${clientId}: closed by the broker`), reject));
    });
  }

  /** Sends and resolves with the next packet of this type. */
  request(bytes, type) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ type, resolve, reject });
      this.socket.write(bytes);
    });
  }

  async subscribe(filters, qos) {
    const suback = await this.request(subscribePacket(1, filters, qos, this.version), 9);
    if (suback.at(-1) > 2) throw new Error(`not subscribed to ${filters.at(-1)}: ${suback.at(-1)}`);
  }

  close() {
    this.closing = true;
    this.socket.destroy();
  }

  #fail(error, reject) {
    if (this.closing) return;
    for (const { reject: give } of this.#waiting.splice(0)) give(error);
    if (this.onLost) this.onLost(error);
    else reject(error);
  }

  #read(received) {
    let bytes = received;
    if (this.#have > 0) {
      this.#pieces.push(received);
      this.#have += received.length;
      if (this.#have < this.#needed) return;
      bytes = Buffer.concat(this.#pieces, this.#have);
      this.#pieces = [];
      this.#have = 0;
    }
    let start = 0;
    let needed = 0;
    while (start < bytes.length) {
      let body = start + 1;
      let length = 0;
      let factor = 1;
      let digit = 128;
      while (digit & 128 && body < bytes.length) {
        digit = bytes[body++];
        length += (digit & 127) * factor;
        factor *= 128;
      }
      const end = body + length;
      if (digit & 128 || end > bytes.length) {
        needed = digit & 128 ? 0 : end - start;
        break;
      }
      const waiting = this.#waiting[0];
      if (waiting && waiting.type === bytes[start] >> 4) {
        this.#waiting.shift();
        waiting.resolve(Buffer.from(bytes.subarray(start, end)));
      } else this.onPacket?.(bytes[start], bytes, body, end);
      start = end;
    }
    if (start < bytes.length) {
      this.#pieces = [Buffer.from(bytes.subarray(start))];
      this.#have = bytes.length - start;
      this.#needed = needed;
    }
    this.after?.();
  }
}
