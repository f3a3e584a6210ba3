#!/usr/bin/env node
// Unless somebody listens, Node.js answers this signal by opening a debugger to every user of the machine. Listened for
// before anything else is loaded; who wants a debugger says --inspect.
process.on('SIGUSR1', () => {});

const { runCli } = await import('./cli/command-line.js');
const args = process.argv.slice(2);

// `iotlab-broker config reference | head` is no failure: whoever read has read enough. A broker goes on serving.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  if (args[0] !== 'serve') process.exit();
});

process.exitCode = await runCli(args, process);
// What was written leaves before the process does, also into a pipe; whatever is still open then does not hold it.
process.stdout.write('', () => process.stderr.write('', () => process.exit()));

export {};
