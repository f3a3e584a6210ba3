import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { packageFolder } from '../src/config/package-folder.js';
import { tempFolder } from './support/temp-folder.js';

const run = promisify(execFile);

test('the package has its configuration examples, and nothing of whoever packs it', { timeout: 60_000 }, async (t) => {
  const folder = await tempFolder(t);
  for (const name of ['package.json', '.gitignore', '.npmrc']) {
    await cp(join(packageFolder(), name), join(folder, name));
  }
  const belongs = ['config/broker.example.yaml', 'config/production/README.md', 'dist/main.js', 'README.md'];
  // Made in a clone by following the README and config/production/README.md.
  const own = [
    ...['config/broker.yaml', 'certs/iot-lab-ca.key', 'certs/server.key', 'data/users', 'data/store/000001.log'],
    ...['config/production/secrets/ldap-password', 'config/production/tls/server.key'],
  ];
  for (const file of [...belongs, ...own]) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), 'x\n');
  }
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: folder });
  const files: string[] = JSON.parse(stdout)[0].files.map(({ path }: { path: string }) => path);
  assert.deepEqual(files.sort(), [...belongs, 'package.json'].sort());

  await run('git', ['init', '--quiet'], { cwd: folder });
  const { stdout: status } = await run('git', ['status', '--porcelain', '--untracked-files=all'], { cwd: folder });
  const seen = own.filter((file) => status.includes(file));
  assert.deepEqual(seen, [], 'git would take these');
});
