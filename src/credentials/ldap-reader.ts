import type { Fault } from '../errors.js';
import { ldapFault } from './ldap-fault.js';

/** What answers a request, by the tags of RFC 4511; the last one ends the answer. */
export const answersTo = { bind: [0x61], search: [0x64, 0x73, 0x65], startTls: [0x78] } as const;
const searchResultEntry = 0x64;
const extendedResponse = 0x78;

/** The entry of a user with the few attributes that are asked for has hundreds of bytes. */
const longestMessageBytes = 64 * 1024;
/** Of one answer, however many messages it is made of. */
const longestAnswerBytes = 256 * 1024;

interface Awaited {
  readonly id: number;
  readonly operations: readonly number[];
  readonly mostEntries: number;
  entries: number;
  bytes: number;
}

/**
 * Looks at what a directory sends before anything else does: cuts it into messages (RFC 4511, 4.1.1) and passes on those
 * that belong to the answer that is awaited. Everything else is a fault at once: garbage, which a parser that goes by the
 * lengths it is told would collect or wait out; answers to something else; answers without end; the notice that the
 * server is about to close.
 */
export class LdapReader {
  readonly #server: string;
  #awaited: Awaited | null = null;
  #requests = 0;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Of the message that has begun; 0 while its length is not known. */
  #wantedBytes = 0;

  constructor(server: string) {
    this.#server = server;
  }

  /** Bytes of a message that has begun. */
  get pendingBytes(): number {
    return this.#bytes;
  }

  /** A request goes out; requests are numbered from 1 on. */
  await(operations: readonly number[], mostEntries = 0): void {
    this.#requests += 1;
    this.#awaited = { id: this.#requests, operations, mostEntries, entries: 0, bytes: 0 };
  }

  /** The messages that `data` completes. Throws a `Fault`, once those before the trouble were taken. */
  *read(data: Buffer): Generator<Buffer> {
    this.#chunks.push(data);
    this.#bytes += data.length;
    while (this.#isWhole()) {
      const all = this.#joined();
      const message = all.subarray(0, this.#wantedBytes);
      const rest = all.subarray(this.#wantedBytes);
      this.#chunks = rest.length === 0 ? [] : [rest];
      this.#bytes = rest.length;
      this.#wantedBytes = 0;
      this.#judge(message);
      yield message;
    }
  }

  #isWhole(): boolean {
    if (this.#wantedBytes === 0) this.#readLength();
    return this.#wantedBytes > 0 && this.#bytes >= this.#wantedBytes;
  }

  /** A SEQUENCE of definite length, in its short form or with up to four bytes; nothing while those are not there. */
  #readLength(): void {
    if (this.#bytes === 0) return;
    const start = this.#joined();
    if (start[0] !== 0x30) throw this.#protocolFault(`byte ${start[0]} cannot begin an LDAP message`);
    if (start.length < 2) return;
    const short = start[1]!;
    const sizeBytes = short < 0x80 ? 0 : short & 0x7f;
    if (short === 0x80 || sizeBytes > 4) throw this.#protocolFault('a message of no definite length');
    if (start.length < 2 + sizeBytes) return;
    const length = sizeBytes === 0 ? short : start.readUIntBE(2, sizeBytes);
    if (length > longestMessageBytes) {
      throw this.#protocolFault(`a message of ${length} bytes; ${longestMessageBytes} are allowed`);
    }
    this.#wantedBytes = 2 + sizeBytes + length;
  }

  #joined(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0]!;
  }

  /** Throws unless the message belongs to what is awaited. */
  #judge(message: Buffer): void {
    const at = message[1]! < 0x80 ? 2 : 2 + (message[1]! & 0x7f);
    const idBytes = message[at + 1] ?? 0;
    const operation = message[at + 2 + idBytes];
    if (message[at] !== 0x02 || idBytes < 1 || idBytes > 4 || operation === undefined) {
      throw this.#protocolFault('a message without an id and an operation');
    }
    const id = message.readIntBE(at + 2, idBytes);
    if (id === 0 && operation === extendedResponse) {
      // RFC 4511, 4.4.1: the only thing that a server says unasked.
      throw ldapFault('E_LDAP_CLOSED', `${this.#server}: says that it is about to close the connection`);
    }
    const awaited = this.#awaited;
    if (awaited === null || id !== awaited.id || !awaited.operations.includes(operation)) {
      throw this.#protocolFault(`an answer that nobody asked for (operation ${operation})`);
    }
    awaited.bytes += message.length;
    if (operation === searchResultEntry) awaited.entries += 1;
    if (awaited.entries > awaited.mostEntries || awaited.bytes > longestAnswerBytes) {
      throw this.#protocolFault('more than was asked for');
    }
    if (operation === awaited.operations.at(-1)) this.#awaited = null;
  }

  #protocolFault(what: string): Fault {
    return ldapFault('E_LDAP_PROTOCOL', `${this.#server}: sent ${what}`);
  }
}
