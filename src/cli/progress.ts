import { rawOutput } from './printable-io.js';

const PERIOD_MS = 1_000;

export interface Progress {
  /** How much is done. Cheap: call it for each item. */
  readonly at: (count: number) => void;
  readonly end: () => void;
}

/** Says once a second how far a long piece of work is; nothing when it is done sooner. On a terminal, on one line. */
export function progressOn(stream: NodeJS.WritableStream & { isTTY?: boolean }, what: string): Progress {
  let nextMs = performance.now() + PERIOD_MS;
  let last = 0;
  let shown = false;
  const show = () => {
    if (stream.isTTY) rawOutput(stream).write(`\r${last} ${what}`);
    else stream.write(`${last} ${what}\n`);
    shown = true;
  };
  return {
    at: (count) => {
      last = count;
      if ((count & 0xff) !== 0 || performance.now() < nextMs) return;
      nextMs = performance.now() + PERIOD_MS;
      show();
    },
    end: () => {
      if (!shown) return;
      show();
      if (stream.isTTY) stream.write('\n');
    },
  };
}
