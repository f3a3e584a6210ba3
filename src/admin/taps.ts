import type { FrameHandler } from '../connection/frame-handler.js';
import type { Account } from '../fairness/account.js';
import type { Qos } from '../mqtt/packets.js';
import type { Message, Publication } from '../mqtt/publication.js';
import type { Outlet } from '../session/outlet.js';
import { askedFilters } from './asked-filters.js';

/** Hears of the packets of one client. */
export interface Tap {
  /** One came, and is handled next; `filters` that it asks for. PUBLISH is told of when it is distributed. */
  came(type: number, bytes: number, filters: readonly string[] | null): void;
  /** A message left. `payload` is looked at only while this runs. */
  left(message: {
    readonly topic: string;
    readonly payload: Buffer;
    readonly qos: Qos;
    readonly retain: boolean;
    readonly dup: boolean;
  }): void;
}

const PUBLISH = 3;

/** Frames on their way to a client's handler. */
export class TappedFrames implements FrameHandler {
  readonly #handler: FrameHandler;
  readonly #tap: Tap;
  readonly #version5: boolean;

  constructor(handler: FrameHandler, tap: Tap, version5: boolean) {
    this.#handler = handler;
    this.#tap = tap;
    this.#version5 = version5;
  }

  get account(): Account {
    return this.#handler.account;
  }

  get largestFrame(): number {
    return this.#handler.largestFrame;
  }

  handle(chunk: Buffer, start: number, bodyStart: number, end: number): number {
    const type = chunk[start]! >> 4;
    if (type !== PUBLISH) {
      const body = { chunk, start: bodyStart, end };
      this.#tap.came(type, end - start, askedFilters(type, body, this.#version5));
    }
    return this.#handler.handle(chunk, start, bodyStart, end);
  }
}

/** Messages on their way to a client. */
export class TappedOutlet implements Outlet {
  readonly #outlet: Outlet;
  readonly #tap: Tap;

  constructor(outlet: Outlet, tap: Tap) {
    this.#outlet = outlet;
    this.#tap = tap;
  }

  get hasRoom(): boolean {
    return this.#outlet.hasRoom;
  }

  get slowed(): boolean {
    return this.#outlet.slowed;
  }

  get bytes(): number {
    return this.#outlet.bytes;
  }

  get receiveMaximum(): number {
    return this.#outlet.receiveMaximum;
  }

  publication(
    publication: Publication,
    qos: Qos,
    packetId: number,
    retain: boolean,
    identifiers: readonly number[] | null,
  ): boolean {
    const sent = this.#outlet.publication(publication, qos, packetId, retain, identifiers);
    if (sent) this.#tap.left({ topic: publication.topic, payload: publication.payload, qos, retain, dup: false });
    return sent;
  }

  message(
    message: Message,
    qos: Qos,
    packetId: number,
    retain: boolean,
    dup: boolean,
    identifiers: readonly number[] | null,
  ): boolean {
    const sent = this.#outlet.message(message, qos, packetId, retain, dup, identifiers);
    if (sent) this.#tap.left({ topic: message.topic, payload: message.payload, qos, retain, dup });
    return sent;
  }

  pubrel(packetId: number, known: boolean): void {
    this.#outlet.pubrel(packetId, known);
  }
}
