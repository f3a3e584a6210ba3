/** What something is sorted by, and a number or a name that no two of them share. */
interface Place {
  readonly key: string | number;
  readonly n: number | string;
}

/**
 * The first so many of what is added, in order, behind a cursor: sorting all of them would take too long at once. A page
 * begins where the one before it ended, also when what is listed has changed meanwhile.
 */
export class TopList<T> {
  readonly #most: number;
  readonly #descending: boolean;
  readonly #behind: Place | null;
  readonly #places: (Place & { readonly item: T })[] = [];
  /** Added, whether or not they are among the first. */
  total = 0;

  /** `cursor`: what `next` said of the page before. */
  constructor(most: number, descending: boolean, cursor: string | undefined) {
    this.#most = most;
    this.#descending = descending;
    this.#behind = cursor === undefined ? null : readCursor(cursor);
  }

  add(key: string | number, n: number | string, item: T): void {
    this.total++;
    const place = { key, n, item };
    if (this.#behind !== null && this.#compare(place, this.#behind) <= 0) return;
    const places = this.#places;
    // One more than asked for: then there is a next page.
    if (places.length > this.#most && this.#compare(place, places[places.length - 1]!) >= 0) return;
    let low = 0;
    let high = places.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#compare(places[middle]!, place) < 0) low = middle + 1;
      else high = middle;
    }
    places.splice(low, 0, place);
    if (places.length > this.#most + 1) places.pop();
  }

  get items(): T[] {
    return this.#places.slice(0, this.#most).map(({ item }) => item);
  }

  /** The cursor of the next page; null when there is none. */
  get next(): string | null {
    if (this.#places.length <= this.#most) return null;
    const { key, n } = this.#places[this.#most - 1]!;
    return Buffer.from(JSON.stringify([key, n])).toString('base64url');
  }

  #compare(a: Place, b: Place): number {
    const order = compare(a.key, b.key);
    if (order !== 0) return this.#descending ? -order : order;
    return compare(a.n, b.n);
  }
}

const compare = (a: string | number, b: string | number) => (a < b ? -1 : a > b ? 1 : 0);
const isKey = (value: unknown): value is string | number => typeof value === 'string' || typeof value === 'number';

/** Null for what is no cursor: the list begins anew. */
function readCursor(text: string): Place | null {
  try {
    const [key, n] = JSON.parse(Buffer.from(text, 'base64url').toString()) as [unknown, unknown];
    if (isKey(key) && isKey(n)) return { key, n };
  } catch {
    // Not ours.
  }
  return null;
}
