interface Place {
  missing: number;
  readonly met: Promise<void>;
  readonly go: () => void;
}

export interface Visit {
  /** Resolves when everybody is there. */
  arrive(at: string): Promise<void>;
  /** Gone for good: nobody waits for this one any more. */
  leave(): void;
}

/** Where connections wait for each other, by name. */
export class Meetings {
  readonly #places = new Map<string, Place>();
  #lastAtMs: number | null = null;

  /** One more who will come to these places. */
  visit(names: Iterable<string>): Visit {
    const coming = new Set(names);
    for (const name of coming) this.#place(name).missing += 1;
    const arrive = (name: string): Promise<void> => {
      const place = this.#place(name);
      // The second time round in a loop nobody is waited for.
      if (!coming.delete(name)) return Promise.resolve();
      place.missing -= 1;
      if (place.missing === 0) {
        this.#lastAtMs = performance.now();
        place.go();
      }
      return place.met;
    };
    return {
      arrive,
      leave() {
        for (const name of coming) void arrive(name);
      },
    };
  }

  get allMet(): Promise<unknown> {
    return Promise.all([...this.#places.values()].map(({ met }) => met));
  }

  /** When the last of the places was full. */
  get lastAtMs(): number | null {
    return this.#lastAtMs;
  }

  #place(name: string): Place {
    const known = this.#places.get(name);
    if (known) return known;
    let go = () => {};
    const met = new Promise<void>((resolve) => {
      go = resolve;
    });
    const place = { missing: 0, met, go };
    this.#places.set(name, place);
    return place;
  }
}
