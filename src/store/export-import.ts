import { UsageError } from '../errors.js';
import type { QueuedMessage, ReadLimits, Store, StoredMessage } from './contract.js';
import { lineSchema, type TransferLine } from './export-line.js';

/** The format of export files. A file of another version is refused. */
export const TRANSFER_VERSION = 1;

/** Everything kept, a JSON object a line, without the newline. Payloads and properties are base64. */
export async function* exportLines(store: Store): AsyncGenerator<string> {
  yield write({ kind: 'iotlab-broker-store', version: TRANSFER_VERSION });
  for await (const { session, subscriptions, requests, outgoing, incoming } of store.loadSessions()) {
    // Earlier releases know no requests: a file without any is one for them, too.
    const asked = requests.length === 0 ? {} : { requests };
    yield write({ kind: 'session', ...session, subscriptions, ...asked, incoming });
    for await (const message of messagesOf(store, session.clientId, outgoing)) {
      const { contentId: _, bytes: __, ...record } = message;
      yield write({ kind: 'message', clientId: session.clientId, ...record });
    }
  }
  for (const message of store.retained) yield write({ kind: 'retained', ...message });
  for await (const will of store.loadWills()) yield write({ kind: 'will', ...will });
  for await (const [login, user] of store.loadUsers()) yield write({ kind: 'user', login, ...user });
}

/** At a time, so that a large queue is never in memory. */
const READ_LIMITS: ReadLimits = { messages: 100, bytes: 1024 * 1024 };

/** A session's queue, message by message. */
export async function* messagesOf(
  store: Store,
  clientId: string,
  queue: readonly QueuedMessage[],
): AsyncGenerator<StoredMessage> {
  const writer = store.session(clientId);
  const last = queue.at(-1)?.seq ?? 0;
  for (let from: number | null = queue[0]?.seq ?? null; from !== null; ) {
    const { messages, next } = await writer.readOutgoing(from, last, READ_LIMITS);
    yield* messages;
    from = next;
  }
}

function write(line: TransferLine): string {
  return JSON.stringify(line, function (key) {
    // `this` has the Buffer itself; the value given is what its toJSON has made of it.
    const value = (this as Record<string, unknown>)[key];
    return Buffer.isBuffer(value) ? value.toString('base64') : value;
  });
}

/** Reads and checks the lines of an export in their order. Throws `UsageError` naming the line. */
export class TransferReader {
  readonly #file: string;
  readonly #sessions = new Set<string>();
  #number = 0;

  constructor(file: string) {
    this.#file = file;
  }

  read(text: string): TransferLine {
    this.#number++;
    const line = this.#parse(text);
    if (this.#number === 1) {
      if (line.kind !== 'iotlab-broker-store') throw this.#refuse('not an export: the first line must name the format');
      if (line.version !== TRANSFER_VERSION) {
        throw this.#refuse(`an export of version ${line.version}; this release reads version ${TRANSFER_VERSION}`);
      }
    } else if (line.kind === 'iotlab-broker-store') {
      throw this.#refuse('a second beginning: import one file after the other');
    }
    if (line.kind === 'session') this.#sessions.add(line.clientId);
    if (line.kind === 'message' && !this.#sessions.has(line.clientId)) {
      throw this.#refuse(`no line before has the session ${JSON.stringify(line.clientId)}`);
    }
    return line;
  }

  /** To be called after the last line. */
  end(): void {
    if (this.#number === 0) throw new UsageError(`${this.#file}: empty`, { code: 'E_IMPORT' });
  }

  #parse(text: string): TransferLine {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw this.#refuse('not JSON', error);
    }
    const { line, problem } = lineSchema(value);
    if (line === null) throw this.#refuse(problem);
    return line;
  }

  #refuse(why: string, cause?: unknown): UsageError {
    return new UsageError(`${this.#file}:${this.#number}: ${why}`, { code: 'E_IMPORT', cause });
  }
}

/** Puts one line into the store. A session that is there already is replaced, with everything it has. */
export function importLine(store: Store, line: TransferLine): void {
  if (line.kind === 'session') {
    const { kind: _, subscriptions, requests, incoming, ...record } = line;
    const writer = store.session(line.clientId);
    writer.remove();
    writer.save(record);
    writer.subscribe(subscriptions);
    for (const { next, after, ...request } of requests ?? []) {
      writer.putRequest(request);
      if (next > request.place) writer.moveRequest(request.place, { next, after });
    }
    for (const packetId of incoming) writer.putIncoming(packetId);
  } else if (line.kind === 'message') {
    const { kind: _, clientId, ...message } = line;
    const writer = store.session(clientId);
    if (message.released) writer.releaseOutgoing(message);
    else writer.putOutgoing(message);
  } else if (line.kind === 'retained') {
    const { kind: _, ...message } = line;
    store.retained.set(message);
  } else if (line.kind === 'will') {
    const { kind: _, ...will } = line;
    store.putWill(will.clientId, will);
  } else if (line.kind === 'user') {
    const { kind: _, login, ...user } = line;
    store.putUser(login, user);
  }
}
