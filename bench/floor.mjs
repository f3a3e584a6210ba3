// Not a broker: the least that Node.js can do over TLS to hand a message on, to see how far above it this broker is. It
// finds the frame in the received bytes, its subscribers in a cache, appends the bytes to what each of them is sent, and
// writes to each socket once per turn of the event loop. At QoS 1 it sends no more than a window of messages ahead of their
// acknowledgements, as each broker here does: so many share a read and a write. No sessions, store, rules or limits, and no
// error handling.
// Arguments: port, certificate, key.
import { readFileSync } from 'node:fs';
import tls from 'node:tls';

const [port, cert, key] = process.argv.slice(2);
/** What this broker and mosquitto send by default. */
const window = 20;
const subscriptions = new Set();
const routes = new Map();
let waiting = [];

function flushAll() {
  const peers = waiting;
  waiting = [];
  for (const peer of peers) peer.flush();
}

const matches = (filter, topic) =>
  filter.length === topic.length && filter.every((level, index) => level === '+' || level === topic[index]);

function route(name) {
  const topic = name.split('/');
  const targets = [...subscriptions].filter(({ filter }) => matches(filter, topic));
  routes.set(name, targets);
  return targets;
}

class Peer {
  #socket;
  #rest = null;
  #out = [];
  #packetId = 0;
  #inflight = 0;
  /** What waits for room in the window, from `#first` on. */
  #behind = [];
  #first = 0;

  constructor(socket) {
    this.#socket = socket;
    socket.on('data', (bytes) => this.#read(bytes));
    socket.on('error', () => {});
    socket.on('close', () => {
      for (const each of subscriptions) if (each.peer === this) subscriptions.delete(each);
      routes.clear();
    });
  }

  write(bytes) {
    if (this.#out.length === 0 && waiting.push(this) === 1) setImmediate(flushAll);
    this.#out.push(bytes);
  }

  flush() {
    const out = this.#out;
    this.#out = [];
    this.#socket.write(out.length === 1 ? out[0] : Buffer.concat(out));
  }

  #read(received) {
    const bytes = this.#rest === null ? received : Buffer.concat([this.#rest, received]);
    let start = 0;
    for (;;) {
      let at = start + 1;
      let length = 0;
      let factor = 1;
      let digit = 128;
      while (digit >= 128 && at < bytes.length) {
        digit = bytes[at++];
        length += (digit & 127) * factor;
        factor *= 128;
      }
      if (digit >= 128 || at + length > bytes.length) break;
      this.#handle(bytes, start, at, at + length);
      start = at + length;
    }
    this.#rest = start < bytes.length ? Buffer.from(bytes.subarray(start)) : null;
  }

  #handle(bytes, start, body, end) {
    const type = bytes[start] >> 4;
    if (type === 3) this.#publish(bytes, start, body, end);
    else if (type === 4) this.#acknowledged();
    else if (type === 1) this.write(Buffer.from([0x20, 2, 0, 0]));
    else if (type === 8) this.#subscribe(bytes, body);
  }

  #publish(bytes, start, body, end) {
    const topicEnd = body + 2 + bytes.readUInt16BE(body);
    const topic = bytes.latin1Slice(body + 2, topicEnd);
    const confirmed = (bytes[start] & 0x06) !== 0;
    if (confirmed) this.write(Buffer.from([0x40, 2, bytes[topicEnd], bytes[topicEnd + 1]]));
    const frame = bytes.subarray(start, end);
    for (const { peer } of routes.get(topic) ?? route(topic)) {
      if (confirmed) peer.#publishAgain(frame, topicEnd - start);
      else peer.write(frame);
    }
  }

  #publishAgain(frame, packetIdAt) {
    const copy = Buffer.from(frame);
    this.#packetId = (this.#packetId % 65_535) + 1;
    copy.writeUInt16BE(this.#packetId, packetIdAt);
    if (this.#inflight === window) this.#behind.push(copy);
    else {
      this.#inflight += 1;
      this.write(copy);
    }
  }

  #acknowledged() {
    if (this.#first === this.#behind.length) {
      this.#inflight -= 1;
      return;
    }
    this.write(this.#behind[this.#first++]);
    if (this.#first < this.#behind.length) return;
    this.#behind = [];
    this.#first = 0;
  }

  #subscribe(bytes, body) {
    const filterEnd = body + 4 + bytes.readUInt16BE(body + 2);
    subscriptions.add({ peer: this, filter: bytes.latin1Slice(body + 4, filterEnd).split('/') });
    routes.clear();
    this.write(Buffer.from([0x90, 3, bytes[body], bytes[body + 1], bytes[filterEnd]]));
  }
}

tls
  .createServer({ cert: readFileSync(cert), key: readFileSync(key), noDelay: true }, (socket) => new Peer(socket))
  .listen(Number(port), '127.0.0.1');
