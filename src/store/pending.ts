/**
 * The rows of the database with the pending ones laid over them, in the order of the keys' bytes. A null deletes the
 * row. Call it in the turn in which `pending` was taken: the iterator's view begins when it is made.
 */
export async function* mergePending(
  stored: AsyncIterable<[string, Buffer]>,
  pending: ReadonlyMap<string, Buffer | null>,
): AsyncGenerator<[string, Buffer]> {
  if (pending.size === 0) {
    yield* stored;
    return;
  }
  const sorted = [...pending.keys()].sort(compareBytes);
  let next = 0;
  for await (const row of stored) {
    for (; next < sorted.length && compareBytes(sorted[next]!, row[0]) < 0; next++) {
      const value = pending.get(sorted[next]!);
      if (value) yield [sorted[next]!, value];
    }
    if (!pending.has(row[0])) yield row;
  }
  for (; next < sorted.length; next++) {
    const value = pending.get(sorted[next]!);
    if (value) yield [sorted[next]!, value];
  }
}

/** As LevelDB compares. Strings compare by UTF-16 units, which differ from bytes beyond U+FFFF. */
function compareBytes(a: string, b: string): number {
  if (a === b) return 0;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
