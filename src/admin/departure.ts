import type { BrokerParts } from '../broker-parts.js';
import type { Clock } from '../clock.js';

const STEP_MS = 100;

/** Once begun, there is no way back but a restart. */
export class Departure {
  #begun = false;
  #cancel: () => void = () => {};

  /** Whether others should be sent elsewhere. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Ends the connections that there are, and those that still come, evenly: their users come back one after the other. */
  begin(connections: BrokerParts['connections'], clock: Clock, overMs: number): number {
    const count = connections.size;
    if (this.#begun) return count;
    this.#begun = true;
    let due = 0;
    const untilMs = clock.monotonicMs() + overMs;
    this.#cancel = clock.every(STEP_MS, () => {
      const steps = Math.max(1, (untilMs - clock.monotonicMs()) / STEP_MS);
      due += connections.size / steps;
      for (const connection of connections) {
        if (due < 1) break;
        due--;
        connection.closeHandled('broker-stopping');
      }
    });
    return count;
  }

  close(): void {
    this.#cancel();
  }
}
