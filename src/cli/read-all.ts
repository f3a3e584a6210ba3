import { UsageError } from '../errors.js';
import type { CommandIo } from './command.js';

const MOST_BYTES = 64 * 1024 * 1024;

/** The standard input, to its end. */
export async function readAll({ stdin }: CommandIo): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stdin) {
    const buffer = Buffer.from(chunk);
    bytes += buffer.length;
    if (bytes > MOST_BYTES) throw new UsageError(`standard input: more than ${MOST_BYTES} bytes`);
    chunks.push(buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}
