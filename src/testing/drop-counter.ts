import type { FaultScope } from './fault-api.js';
import type { DropRule, FaultBoard, FaultRule } from './fault-board.js';
import type { Piece } from './frames.js';

type Side = DropRule['from'];

/** Counts one connection's packets for the faults that break it. */
export class DropCounter {
  readonly #faults: FaultBoard;
  readonly #counts = new Map<FaultRule<DropRule>, number>();

  constructor(faults: FaultBoard) {
    this.#faults = faults;
  }

  /** How many bytes of the next piece may pass: fewer than it has, and the connection breaks behind them. */
  allows(side: Side, { bytes, last, type }: Piece, who: FaultScope): number {
    for (const rule of this.#rules(side, who)) {
      const { after, midPacket, type: counted } = rule.parameters;
      const count = this.#counts.get(rule) ?? 0;
      if (midPacket && count >= after) {
        rule.strike();
        // What is not the end of its packet is half of one already; at least one byte is kept back in either case.
        return last ? bytes.length >> 1 : bytes.length - 1;
      }
      if (last && (counted === null || counted === type)) this.#counts.set(rule, count + 1);
    }
    return bytes.length;
  }

  /** The piece that just passed was the last. */
  due(side: Side, who: FaultScope): boolean {
    for (const rule of this.#rules(side, who)) {
      const { after, midPacket } = rule.parameters;
      if (midPacket || (this.#counts.get(rule) ?? 0) < after) continue;
      rule.strike();
      return true;
    }
    return false;
  }

  #rules(side: Side, who: FaultScope): FaultRule<DropRule>[] {
    return this.#faults.all('dropConnection', who).filter(({ parameters }) => parameters.from === side);
  }
}
