import type { Clock } from '../clock.js';

type End = (drawn: boolean) => void;

interface Ticket {
  readonly holders: Set<End>;
  /** Draws that took another one. */
  passedOver: number;
}

interface Draw {
  readonly waiting: Map<string, Ticket>;
  /** Nobody is drawn before. */
  cancelNext: (() => void) | null;
}

/** Draws after which a ticket comes before those that are newer: fewer than an attempt waits for. */
const passedOverOften = 3;

/**
 * Of the tickets that wait for the same thing, lets one go every `everyMs`, drawn by lot: whoever has a great many gets
 * most of the draws, but never all of them. Tickets that were passed over three times are drawn from first, so that one
 * who hands in a new ticket whenever the last one has gone keeps nobody waiting for longer than that; against those who
 * always have many waiting it changes nobody's chances.
 */
export class Lottery {
  readonly #everyMs: number;
  readonly #clock: Clock;
  readonly #draws = new Map<string, Draw>();

  constructor(everyMs: number, clock: Clock) {
    this.#everyMs = everyMs;
    this.#clock = clock;
  }

  /** How many things are waited for. */
  get size(): number {
    return this.#draws.size;
  }

  /** Resolves with whether the ticket was drawn within `timeoutMs`; at once when none was drawn just now. */
  wait(thing: string, ticket: string, timeoutMs: number): Promise<boolean> {
    const draw = this.#draws.get(thing) ?? { waiting: new Map(), cancelNext: null };
    this.#draws.set(thing, draw);
    const { waiting } = draw;
    const drawn = new Promise<boolean>((resolve) => {
      const held: Ticket = waiting.get(ticket) ?? { holders: new Set(), passedOver: 0 };
      const { holders } = held;
      const end = (outcome: boolean): void => {
        cancel();
        holders.delete(end);
        if (holders.size === 0) waiting.delete(ticket);
        resolve(outcome);
      };
      const cancel = this.#clock.after(timeoutMs, () => end(false));
      holders.add(end);
      waiting.set(ticket, held);
    });
    if (draw.cancelNext === null) this.#draw(thing, draw);
    return drawn;
  }

  /** Whoever waits may go. */
  close(): void {
    for (const { waiting, cancelNext } of this.#draws.values()) {
      cancelNext?.();
      for (const { holders } of [...waiting.values()]) for (const end of [...holders]) end(true);
    }
    this.#draws.clear();
  }

  #draw(thing: string, draw: Draw): void {
    const tickets = [...draw.waiting.values()];
    const first = tickets.filter((ticket) => ticket.passedOver >= passedOverOften);
    const drawn = oneOf(first.length > 0 ? first : tickets);
    if (drawn === undefined) {
      this.#draws.delete(thing);
      return;
    }
    draw.cancelNext = this.#clock.after(this.#everyMs, () => this.#draw(thing, draw));
    for (const ticket of tickets) ticket.passedOver += 1;
    for (const end of [...drawn.holders]) end(true);
  }
}

const oneOf = <T>(many: readonly T[]): T | undefined => many[Math.floor(Math.random() * many.length)];
