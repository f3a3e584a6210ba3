import type { RowIterator } from './database.js';

/** Read ahead by whoever goes through rows one by one. */
const CHUNK_ROWS = 1_000;

/** Rows that come many at a time, for who wants them so and for who wants them one by one: then closed at the end. */
export function rowIterator(nextv: RowIterator['nextv'], close: RowIterator['close']): RowIterator {
  return {
    nextv,
    close,
    async *[Symbol.asyncIterator]() {
      try {
        for (let chunk = await nextv(CHUNK_ROWS); chunk.length > 0; chunk = await nextv(CHUNK_ROWS)) yield* chunk;
      } finally {
        await close();
      }
    },
  };
}
