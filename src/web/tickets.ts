import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../clock.js';

/** Of one log-in, at a time: windows, and attempts that came to nothing. A further one takes the place of the oldest. */
const TICKETS_PER_LOGIN = 8;
const TICKET_MS = 30_000;
/** So that hardly any password is looked at twice. */
const PREFIX = 'ticket-';
const ID_BYTES = 18;
const SEAL_BYTES = 18;
/** Both parts are of a length that base64 writes without padding. */
const ID_CHARACTERS = (ID_BYTES * 4) / 3;
const TICKET_CHARACTERS = PREFIX.length + ID_CHARACTERS + (SEAL_BYTES * 4) / 3;

/** Who has tickets: each with until when it is good. */
export interface TicketHolder {
  readonly login: string;
  readonly tickets: Map<string, number>;
}

/**
 * What a page connects to MQTT with, since it keeps no password: good once, and soon no more. Tickets are sealed, so that
 * one that is good no more is known for what it is, and is no guess at anybody's password, without being remembered.
 */
export class Tickets {
  readonly #key = randomBytes(32);
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  issue({ login, tickets }: TicketHolder): string {
    const nowMs = this.#clock.monotonicMs();
    for (const [id, untilMs] of tickets) if (untilMs <= nowMs || tickets.size >= TICKETS_PER_LOGIN) tickets.delete(id);
    const id = randomBytes(ID_BYTES).toString('base64url');
    tickets.set(id, nowMs + TICKET_MS);
    return `${PREFIX}${id}${this.#seal(login, id).toString('base64url')}`;
  }

  /** Whose of these this ticket is; `used` when it was one; null when it is none. */
  redeem<Holder extends TicketHolder>(
    login: string,
    password: string,
    holders: Iterable<Holder>,
  ): Holder | 'used' | null {
    if (password.length !== TICKET_CHARACTERS || !password.startsWith(PREFIX)) return null;
    const id = password.slice(PREFIX.length, PREFIX.length + ID_CHARACTERS);
    const seal = Buffer.from(password.slice(PREFIX.length + ID_CHARACTERS), 'base64url');
    if (seal.length !== SEAL_BYTES || !timingSafeEqual(seal, this.#seal(login, id))) return null;
    for (const each of holders) {
      const untilMs = each.tickets.get(id);
      if (untilMs === undefined) continue;
      each.tickets.delete(id);
      return this.#clock.monotonicMs() < untilMs ? each : 'used';
    }
    return 'used';
  }

  #seal(login: string, id: string): Buffer {
    return createHmac('sha256', this.#key).update(`${id} ${login}`).digest().subarray(0, SEAL_BYTES);
  }
}
