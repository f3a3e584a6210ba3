// The words on the command line of a script of this folder.
import { parseArgs } from 'node:util';

/**
 * The values of `options` (as `parseArgs` has them), and `words` if there may be any. Those named in `positive` must be
 * numbers above 0. Ends the process after `--help`, and with 2 when what is written is wrong.
 */
export function readOptions({ help, options, positive = [], words = false }) {
  let read;
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: words,
      options: { ...options, help: { type: 'boolean', short: 'h', default: false } },
    });
    for (const name of positive) {
      if (!(Number(values[name]) > 0)) throw new Error(`--${name} ${values[name]}: it must be a number above 0.`);
    }
    read = { ...values, words: positionals };
  } catch (error) {
    console.error(`${error.message}\n\n${help}`);
    process.exit(2);
  }
  if (read.help) {
    console.log(help);
    process.exit(0);
  }
  return read;
}
