import type { Clock } from '../clock.js';
import type { Log } from '../observe/log.js';

/** One address says the same thing at most so often. */
const windowMs = 60_000;
/** Addresses remembered at a time; what comes from others meanwhile shares one line. */
const maxKeys = 500;

interface Slot {
  since: number;
  suppressed: number;
}

/** Warnings that a peer can cause at will, so that it cannot fill the disk with them. */
export class QuietLog {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #slots = new Map<string, Slot>();

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** Logs unless the same `event` of the same address was logged within the last minute; the next line says how many were not. */
  warn(event: string, address: string, fields: Readonly<Record<string, unknown>>, message: string): void {
    const now = this.#clock.now();
    const slot = this.#slotFor(`${event} ${address}`, now);
    if (slot === null) return;
    const more = slot.suppressed > 0 ? { suppressed: slot.suppressed } : {};
    slot.since = now;
    slot.suppressed = 0;
    this.#log.warn({ event, address, ...fields, ...more }, message);
  }

  #slotFor(key: string, now: number): Slot | null {
    let slot = this.#slots.get(key);
    if (slot === undefined && this.#slots.size >= maxKeys) this.#forget(now);
    if (slot === undefined && this.#slots.size >= maxKeys) slot = this.#slots.get('');
    if (slot !== undefined && now - slot.since < windowMs) {
      slot.suppressed++;
      return null;
    }
    if (slot === undefined) {
      slot = { since: now, suppressed: 0 };
      this.#slots.set(this.#slots.size >= maxKeys ? '' : key, slot);
    }
    return slot;
  }

  #forget(now: number): void {
    for (const [key, slot] of this.#slots) if (now - slot.since >= windowMs) this.#slots.delete(key);
  }
}
