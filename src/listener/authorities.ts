import { open } from 'node:fs/promises';
import type { Clock } from '../clock.js';
import { readBundle, rootsOf } from './bundle.js';

/** A bundle of all authorities of the world has a fifth of it. */
const MOST_BYTES = 1024 * 1024;
/** Whoever asks more often gets the same again. */
const KEPT_MS = 10_000;

/**
 * Reads the certificates that clients are to trust, for handing out to whoever asks: of those in `ca`, a bundle of all
 * authorities of the world perhaps, the ones that the broker's own leads to. Empty: there are none. Whatever else is in
 * the files stays there.
 */
export function authoritiesIn(
  { cert, ca }: { readonly cert: string; readonly ca: string },
  clock: Clock,
): () => Promise<string> {
  let reading: Promise<string> | null = null;
  let sinceMs = 0;
  return () => {
    if (reading === null || clock.monotonicMs() - sinceMs > KEPT_MS) {
      sinceMs = clock.monotonicMs();
      reading = rootsIn(cert, ca);
    }
    return reading;
  };
}

async function rootsIn(cert: string, ca: string): Promise<string> {
  try {
    const [chain, authorities] = [readBundle(await beginningOf(cert)), readBundle(await beginningOf(ca))];
    return rootsOf(chain, authorities).map(String).join('');
  } catch {
    return '';
  }
}

async function beginningOf(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MOST_BYTES), 0, MOST_BYTES, 0);
    return buffer.toString('latin1', 0, bytesRead);
  } finally {
    await file.close();
  }
}
