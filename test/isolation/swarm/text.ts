import type { Text } from './program.js';

/** What the names in a text stand for. */
export interface Names {
  readonly user: string;
  /** Of the connection in its group. */
  readonly c: number;
  /** Of the round. */
  readonly r: number;
}

/** How many texts there are. */
export const countOf = (text: Text): number => (typeof text === 'string' ? 1 : (text.count ?? 1));

/** The first of them, for what is only one: a client id, a Will's topic. */
export function oneText(text: Text, names: Names): string {
  for (const it of texts(text, names)) return it;
  return '';
}

export function* texts(text: Text, names: Names): Generator<string> {
  const row = typeof text === 'string' ? { text } : text;
  for (let n = 0; n < countOf(row); n += 1) {
    let whole = filledIn(row.text, names, n);
    if (row.levels !== undefined) {
      const missing = row.levels - whole.split('/').length - (row.tail === undefined ? 0 : 1);
      whole += `/${row.level ?? 'x'}`.repeat(Math.max(0, missing));
    }
    if (row.tail !== undefined) whole += `/${filledIn(row.tail, names, n)}`;
    yield row.bytes === undefined ? whole : padded(whole, row.bytes, row.pad ?? 'x');
  }
}

function filledIn(text: string, { user, c, r }: Names, n: number): string {
  if (!text.includes('{')) return text;
  const numbers = { c, n, r };
  return text.replaceAll(/\{(user|[cnr])(?:%(\d+))?\}/g, (_, name: 'user' | 'c' | 'n' | 'r', modulo?: string) => {
    if (name === 'user') return user;
    return String(modulo === undefined ? numbers[name] : numbers[name] % Number(modulo));
  });
}

function padded(text: string, bytes: number, pad: string): string {
  const missing = bytes - Buffer.byteLength(text);
  return missing <= 0 ? text : text + pad.repeat(Math.floor(missing / Buffer.byteLength(pad)));
}
