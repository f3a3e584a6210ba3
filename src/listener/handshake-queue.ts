/**
 * Handshakes that are begun in one turn of the event loop. Each is up to a millisecond of signing and key exchange that
 * cannot be interrupted: three hundred at once would hold up everybody for as long as they take.
 */
const HANDSHAKES_PER_TURN = 4;

/** When there is work, among all that is done. */
export interface Turns {
  /** A connection was accepted. */
  came(): void;
  /** Calls back in the next turn in which work is done. */
  whenRound(callback: () => void): void;
}

/** Lets handshakes begin in fair turns: by network, and in the order of their coming within one. */
export class HandshakeQueue {
  /** In the order of their turns. */
  readonly #lines = new Map<string, (() => void)[]>();
  readonly #turns: Pick<Turns, 'whenRound'>;
  #scheduled = false;

  constructor(turns: Pick<Turns, 'whenRound'>) {
    this.#turns = turns;
  }

  add(network: string, begin: () => void): void {
    const line = this.#lines.get(network);
    if (line === undefined) this.#lines.set(network, [begin]);
    else line.push(begin);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#turns.whenRound(() => {
      this.#scheduled = false;
      for (let begun = 0; begun < HANDSHAKES_PER_TURN && this.#lines.size > 0; begun++) this.#beginNext();
      if (this.#lines.size > 0) this.#schedule();
    });
  }

  #beginNext(): void {
    const [network, line] = this.#lines.entries().next().value!;
    const begin = line.shift()!;
    // Whoever has more comes last.
    this.#lines.delete(network);
    if (line.length > 0) this.#lines.set(network, line);
    begin();
  }
}
