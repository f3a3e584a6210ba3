import type { RowIterator } from './database.js';

type Row = [string, Buffer];

/**
 * The rows of the database with the pending ones laid over them, in the order of the keys' bytes. A null deletes the
 * row. They come `count` at a time, or so. Call it in the turn in which `pending` was taken: the iterator's view begins when it is made.
 */
export async function* mergePending(
  stored: RowIterator,
  pending: ReadonlyMap<string, Buffer | null>,
  count: number,
): AsyncGenerator<Row[]> {
  // The next chunk is read while this one is used.
  let ahead = stored.nextv(count);
  try {
    const sorted = [...pending].sort(([a], [b]) => compareBytes(a, b));
    let next = 0;
    for (;;) {
      const chunk = await ahead;
      if (chunk.length === 0) break;
      ahead = stored.nextv(count);
      if (next === sorted.length) {
        yield chunk;
        continue;
      }
      const merged: Row[] = [];
      for (const row of chunk) {
        for (; next < sorted.length && compareBytes(sorted[next]![0], row[0]) < 0; next++)
          append(merged, sorted[next]!);
        if (!pending.has(row[0])) merged.push(row);
      }
      yield merged;
    }
    const rest: Row[] = [];
    for (; next < sorted.length; next++) append(rest, sorted[next]!);
    if (rest.length > 0) yield rest;
  } finally {
    await ahead.catch(() => {});
    await stored.close();
  }
}

export async function* rowByRow(chunks: AsyncIterable<Row[]>): AsyncGenerator<Row> {
  for await (const chunk of chunks) yield* chunk;
}

/** The first `count` of them; fewer, if there are no more. */
export async function firstRows(chunks: AsyncIterable<Row[]>, count: number): Promise<Row[]> {
  const found: Row[] = [];
  for await (const row of rowByRow(chunks)) if (found.push(row) === count) break;
  return found;
}

function append(rows: Row[], [key, value]: readonly [string, Buffer | null]): void {
  if (value !== null) rows.push([key, value]);
}

/** As LevelDB compares. Strings compare by UTF-16 units, which differ from bytes beyond U+FFFF. */
function compareBytes(a: string, b: string): number {
  if (a === b) return 0;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
