import { PassThrough } from 'node:stream';
import type { CommandIo } from '../../src/cli/command.js';

export interface CapturedIo extends CommandIo {
  readonly out: () => string;
  readonly err: () => string;
}

/** Streams for running a command inside the test's process, and what it wrote to them. */
export function captureIo(env: NodeJS.ProcessEnv = {}, stdin = ''): CapturedIo {
  const input = new PassThrough();
  input.end(stdin);
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const written = { out: '', err: '' };
  stdout.on('data', (chunk) => {
    written.out += String(chunk);
  });
  stderr.on('data', (chunk) => {
    written.err += String(chunk);
  });
  return { stdin: input, stdout, stderr, env, out: () => written.out, err: () => written.err };
}
