/** A client of MQTT 5 over WebSocket: as much of it as the live view needs. */

import { say } from './dom.js';
import { texts } from './texts.js';

/** The property (3.14.2.2.3). */
const REASON_STRING = 0x1f;
/** For the broker to answer CONNECT. */
const CONNECT_MS = 15_000;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const u16 = (value) => [value >> 8, value & 255];

function length(value) {
  const bytes = [];
  let left = value;
  do {
    bytes.push((left & 127) | (left > 127 ? 128 : 0));
    left >>= 7;
  } while (left > 0);
  return bytes;
}

function text(value) {
  const bytes = encoder.encode(value);
  return [...u16(bytes.length), ...bytes];
}

const packet = (head, body) => Uint8Array.from([head, ...length(body.length), ...body]);

/** Where properties begin and end: how long they are stands before them. */
function propertiesAt(body, at) {
  let i = at;
  let bytes = 0;
  let shift = 0;
  do {
    bytes |= (body[i] & 127) << shift;
    shift += 7;
  } while (body[i++] & 128);
  return { start: i, end: i + bytes };
}

/** What a reason code means, and what helps: the broker's own sentence, where the properties at `at` begin with one. */
function reasonInWords(code, body, at, words = texts.reasons) {
  const { start, end } = body.length > at ? propertiesAt(body, at) : { start: 0, end: 0 };
  if (start < end && body[start] === REASON_STRING) {
    const bytes = (body[start + 1] << 8) + body[start + 2];
    return decoder.decode(body.subarray(start + 3, start + 3 + bytes));
  }
  return words[code] ?? texts.reasons[code] ?? say(texts.reasons.other, { code });
}

export class MqttClient {
  onMessage = () => {};
  /** Is told in words why; empty: nobody said. */
  onClose = () => {};
  #why = '';
  #socket;
  #buffer = new Uint8Array(0);
  /** For an answer, by its packet id. */
  #waiting = new Map();
  #nextId = 1;
  #ping;

  /** Resolves once the broker has let it in; rejects with its reason. */
  connect({ url, clientId, login, password }) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, 'mqtt');
      this.#socket = socket;
      socket.binaryType = 'arraybuffer';
      this.#waiting.set('connack', {
        resolve: (body) => {
          clearTimeout(deadline);
          if (body[1] === 0) resolve();
          else reject(new Error(reasonInWords(body[1], body, 2, texts.connectReasons)));
        },
        reject,
      });
      const deadline = setTimeout(() => {
        this.#why = texts.me.noAnswer;
        socket.close();
      }, CONNECT_MS);
      socket.onopen = () => {
        const body = [
          ...text('MQTT'),
          5,
          0b11000010,
          ...u16(60),
          0,
          ...text(clientId),
          ...text(login),
          ...text(password),
        ];
        socket.send(packet(0x10, body));
      };
      socket.onmessage = ({ data }) => this.#read(new Uint8Array(data));
      socket.onclose = () => {
        clearInterval(this.#ping);
        clearTimeout(deadline);
        for (const waiting of this.#waiting.values()) waiting.reject(new Error(this.#why || texts.me.noReason));
        this.#waiting.clear();
        this.onClose(this.#why);
      };
      this.#ping = setInterval(() => socket.readyState === WebSocket.OPEN && socket.send(packet(0xc0, [])), 50_000);
    });
  }

  /** Resolves with what is wrong; empty: nothing. Rejects when the connection ends before the answer is there. */
  async subscribe(filter) {
    const id = this.#id();
    const body = await this.#ask(id, packet(0x82, [...u16(id), 0, ...text(filter), 0]));
    const code = body[propertiesAt(body, 2).end];
    return code < 0x80 ? '' : reasonInWords(code, body, 2);
  }

  async unsubscribe(filter) {
    const id = this.#id();
    await this.#ask(id, packet(0xa2, [...u16(id), 0, ...text(filter)]));
  }

  /** The same; at QoS 0 nobody answers. */
  async publish(topic, payload, { qos = 0, retain = false } = {}) {
    const id = this.#id();
    const head = 0x30 | (qos << 1) | (retain ? 1 : 0);
    const sent = packet(head, [...text(topic), ...(qos > 0 ? u16(id) : []), 0, ...encoder.encode(payload)]);
    if (qos === 0) {
      this.#socket.send(sent);
      return '';
    }
    const body = await this.#ask(id, sent);
    return body.length > 2 && body[2] >= 0x80 ? reasonInWords(body[2], body, 3) : '';
  }

  close() {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(packet(0xe0, []));
    this.#socket?.close();
  }

  #id() {
    const id = this.#nextId;
    this.#nextId = (id % 65_535) + 1;
    return id;
  }

  #ask(id, bytes) {
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#socket.send(bytes);
    });
  }

  /** Packets begin and end anywhere in what comes. */
  #read(bytes) {
    const all = new Uint8Array(this.#buffer.length + bytes.length);
    all.set(this.#buffer);
    all.set(bytes, this.#buffer.length);
    let at = 0;
    for (;;) {
      const packetAt = frame(all, at);
      if (packetAt === null) break;
      this.#handle(all[at], all.subarray(packetAt.start, packetAt.end));
      at = packetAt.end;
    }
    this.#buffer = all.slice(at);
  }

  #handle(head, body) {
    const type = head >> 4;
    if (type === 3) {
      const topicEnd = 2 + (body[0] << 8) + body[1];
      const { end: at } = propertiesAt(body, topicEnd + ((head & 6) > 0 ? 2 : 0));
      const topic = decoder.decode(body.subarray(2, topicEnd));
      this.onMessage({ topic, payload: body.slice(at), retain: (head & 1) === 1 });
      return;
    }
    if (type === 14) this.#why = reasonInWords(body[0] ?? 0, body, 1);
    const key = type === 2 ? 'connack' : (body[0] << 8) + body[1];
    if (![2, 4, 9, 11].includes(type)) return;
    this.#waiting.get(key)?.resolve(body);
    this.#waiting.delete(key);
  }
}

function frame(bytes, at) {
  let i = at + 1;
  let size = 0;
  let shift = 0;
  do {
    if (i >= bytes.length) return null;
    size |= (bytes[i] & 127) << shift;
    shift += 7;
  } while (bytes[i++] & 128);
  return i + size > bytes.length ? null : { start: i, end: i + size };
}
