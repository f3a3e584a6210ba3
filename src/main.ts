#!/usr/bin/env node
import { runCli } from './cli/command-line.js';

const args = process.argv.slice(2);

// `iotlab-broker config reference | head` is no failure: whoever read has read enough. A broker goes on serving.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  if (args[0] !== 'serve') process.exit();
});

process.exitCode = await runCli(args, process);
// What was written leaves before the process does, also into a pipe; whatever is still open then does not hold it.
process.stdout.write('', () => process.stderr.write('', () => process.exit()));
