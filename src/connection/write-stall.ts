import type { Outbox } from './outbox.js';

/** How long a socket has taken nothing, as far as those know who look at it now and then. */
export class WriteStall {
  #sinceMs: number | null = null;
  #writes = 0;

  lastsMs({ busy, writes }: Pick<Outbox, 'busy' | 'writes'>, nowMs: number): number {
    if (!busy) this.#sinceMs = null;
    else if (this.#sinceMs === null || writes !== this.#writes) {
      this.#sinceMs = nowMs;
      this.#writes = writes;
    }
    return this.#sinceMs === null ? 0 : nowMs - this.#sinceMs;
  }
}
