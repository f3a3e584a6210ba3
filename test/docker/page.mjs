// docs/docker.md as a script: the test runs its commands as they stand there, and every one of them.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';

/** The lines of the ```sh blocks, without what explains them. */
function commandsOf(text) {
  return [...text.matchAll(/^ *```sh\n(.*?)^ *```/gms)]
    .flatMap(([, block]) => block.split('\n'))
    .map((line) => line.replace(/ +#.*/, '').trim())
    .filter((line) => line !== '');
}

export function openPage(file) {
  const commands = commandsOf(readFileSync(file, 'utf8'));
  const unused = new Set(commands);
  return {
    /** The command itself, once it is sure that the page has it. */
    take(line) {
      assert.ok(commands.includes(line), `${file} does not have the command: ${line}`);
      unused.delete(line);
      return line;
    },
    assertAllTaken() {
      assert.deepEqual([...unused], [], `${file} has commands that were not run`);
    },
    /** What another page says about Docker is on this one too, and so it was run. */
    assertCovers(other) {
      if (!existsSync(other)) return;
      const about = commandsOf(readFileSync(other, 'utf8')).filter((line) => /\bdocker\b|^ssh -p/.test(line));
      const missing = about.filter((line) => !commands.includes(line));
      assert.deepEqual(missing, [], `${other} has commands that ${file} has not`);
    },
  };
}
