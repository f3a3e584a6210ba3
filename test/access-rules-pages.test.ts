import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCli } from '../src/cli/command-line.js';
import { captureIo } from './support/command-io.js';
import { openPage, sectionOf } from './support/pages.js';
import { tempFolder } from './support/temp-folder.js';
import { cheapHash } from './support/test-broker.js';

// What the pages show of `acl explain` is what it says about the rules that stand above it.
for (const [file, heading, questions] of [
  ['README.md', 'Configuration', 2],
  ['docs/operating.md', 'A course: the teacher reads everything, and alone writes the sheets', 2],
] as const) {
  test(`${file}: the rules and what is explained of them`, async (t) => {
    const section = sectionOf(openPage(file), heading);
    const blocks = [...section.matchAll(/```(\w*)\n(.*?)```/gs)];
    const rules = blocks.find(([, language, text]) => language === 'yaml' && text!.startsWith('groups:'))![2];
    const shown = blocks.find(([, , text]) => text!.startsWith('$ iotlab-broker acl explain'))![2]!;
    const folder = await tempFolder(t);
    const config = join(folder, 'broker.yaml');
    await writeFile(join(folder, 'users'), `alice:${cheapHash('x')}\ncarol:${cheapHash('x')}\n`);
    await writeFile(config, `${rules}\ncredentials: { file: { path: users } }\n`);
    let asked = 0;
    for (const part of shown.split(/^\$ iotlab-broker /m).slice(1)) {
      const [command = '', ...answer] = part.trimEnd().split('\n');
      const args = command.split(' ').map((word) => word.replaceAll("'", ''));
      const io = captureIo();
      assert.equal(await runCli([...args, '--config', config], io), 0);
      assert.equal(io.out().trimEnd(), answer.join('\n'), command);
      asked += 1;
    }
    assert.equal(asked, questions);
  });
}
