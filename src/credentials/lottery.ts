import type { Clock } from '../clock.js';

type End = (drawn: boolean) => void;

interface Draw {
  /** By ticket, those who hold it. */
  readonly waiting: Map<string, Set<End>>;
  /** Nobody is drawn before. */
  cancelNext: (() => void) | null;
}

/**
 * Of the tickets that wait for the same thing, lets one go every `everyMs`, drawn by lot: whoever has a great many gets
 * most of the draws, but never all of them.
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
      const holders = waiting.get(ticket) ?? new Set();
      const end = (outcome: boolean): void => {
        cancel();
        holders.delete(end);
        if (holders.size === 0) waiting.delete(ticket);
        resolve(outcome);
      };
      const cancel = this.#clock.after(timeoutMs, () => end(false));
      waiting.set(ticket, holders.add(end));
    });
    if (draw.cancelNext === null) this.#draw(thing, draw);
    return drawn;
  }

  /** Whoever waits may go. */
  close(): void {
    for (const { waiting, cancelNext } of this.#draws.values()) {
      cancelNext?.();
      for (const holders of [...waiting.values()]) for (const end of [...holders]) end(true);
    }
    this.#draws.clear();
  }

  #draw(thing: string, draw: Draw): void {
    const tickets = [...draw.waiting.values()];
    if (tickets.length === 0) {
      this.#draws.delete(thing);
      return;
    }
    draw.cancelNext = this.#clock.after(this.#everyMs, () => this.#draw(thing, draw));
    for (const end of [...tickets[Math.floor(Math.random() * tickets.length)]!]) end(true);
  }
}
