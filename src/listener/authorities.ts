import { open } from 'node:fs/promises';
import type { Clock } from '../clock.js';
import { readBundle } from './bundle.js';

/** A bundle of all authorities of the world has a fifth of it. */
const MOST_BYTES = 1024 * 1024;
/** Whoever asks more often gets the same again. */
const KEPT_MS = 10_000;

/**
 * Reads the certificates that clients are to trust, for handing out to whoever asks; empty: there are none. Whatever
 * else is in the file stays there.
 */
export function authoritiesIn(path: string, clock: Clock): () => Promise<string> {
  let reading: Promise<string> | null = null;
  let sinceMs = 0;
  return () => {
    if (reading === null || clock.monotonicMs() - sinceMs > KEPT_MS) {
      sinceMs = clock.monotonicMs();
      reading = read(path);
    }
    return reading;
  };
}

async function read(path: string): Promise<string> {
  const file = path === '' ? null : await open(path, 'r').catch(() => null);
  if (file === null) return '';
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MOST_BYTES), 0, MOST_BYTES, 0);
    return readBundle(buffer.toString('latin1', 0, bytesRead))
      .map(String)
      .join('');
  } catch {
    return '';
  } finally {
    await file.close();
  }
}
