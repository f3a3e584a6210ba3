import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../src/clock.js';
import { openFileBackend } from '../../src/credentials/file-backend.js';
import { ensureFirstUser } from '../../src/credentials/first-user.js';
import { captureLog } from '../support/captured-log.js';
import { tempFolder } from '../support/temp-folder.js';

test('makes a first user who can log in, once', async (t) => {
  const path = join(await tempFolder(t), 'data', 'users');
  const [one, two] = await Promise.all([ensureFirstUser(path), ensureFirstUser(path)]);
  const made = one ?? two;
  assert.ok(made !== null && (one === null || two === null));
  assert.match(made.login, /^[a-z][a-z0-9]{3,19}$/);
  assert.match(made.password, /^[A-Za-z0-9]{20}$/);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.equal(await ensureFirstUser(path), null);

  const captured = captureLog();
  const backend = await openFileBackend({ path, log: captured.log, clock: systemClock });
  const verdict = await backend.verify(made.login, made.password, AbortSignal.timeout(10_000));
  assert.equal(verdict.accepted, true);
  await backend.close();
  assert.ok(!captured.text().includes(made.password));
  assert.ok(!(await readFile(path, 'utf8')).includes(made.password));
});

test('keeps what is in a file without users, and gives up on a pattern that it cannot meet', async (t) => {
  const path = join(await tempFolder(t), 'users');
  await writeFile(path, '# our users\n');
  assert.equal(await ensureFirstUser(path, '^lab-[0-9]+$'), null);
  assert.equal(await readFile(path, 'utf8'), '# our users\n');
  const made = await ensureFirstUser(path);
  assert.match(await readFile(path, 'utf8'), new RegExp(`^# our users\n${made?.login}:\\$scrypt\\$.*\n$`));
});
