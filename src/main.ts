#!/usr/bin/env node
// Unless somebody listens, Node.js answers this signal by opening a debugger to every user of the machine. Listened for
// before anything else is loaded; who wants a debugger says --inspect.
process.on('SIGUSR1', () => {});

// In words that a Node.js of ten years ago can read: nothing is imported, and no newer syntax used, before it has been
// told that it is too old.
const OLDEST_NODE = 20;

async function run(): Promise<void> {
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
}

if (Number(process.versions.node.split('.')[0]) < OLDEST_NODE) {
  process.stderr.write(
    `iotlab-broker: this is Node.js ${process.version}, and 20 or later is needed; 24 is recommended. Install that one, and see that "node --version" says so.\n`,
  );
  process.exitCode = 2;
} else {
  run();
}

export {};
