import assert from 'node:assert/strict';
import { lstat, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Bans } from '../../src/credentials/bans.js';
import { Fault, UsageError } from '../../src/errors.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { tempFolder } from '../support/temp-folder.js';

const nobody = { add: () => {} };

test('a ban is in force until it ends, and over a restart', async (t) => {
  const path = join(await tempFolder(t), 'data', 'bans.json');
  const clock = new ManualClock();
  let charged = 0;
  const balance = {
    add: (bytes: number) => {
      charged += bytes;
    },
  };
  const bans = await Bans.load(path, clock, balance);
  assert.equal(bans.of('login', 'alice'), null);
  const now = clock.epochMs();
  await bans.add('login', 'alice', now + 10_000, 'a loop');
  await bans.add('login', 'alice', now + 5_000, 'a shorter one');
  await bans.add('address', '192.0.2.7', now + 20_000, '');
  await bans.add('address', '2001:db8::1', now + 30_000, '');
  assert.equal((await lstat(path)).mode & 0o777, 0o600);
  assert.ok(charged > 0);

  const again = await Bans.load(path, clock, nobody);
  assert.equal(again.of('login', 'alice')?.reason, 'a shorter one');
  assert.equal(again.of('login', 'Alice'), null);
  assert.equal(again.of('address', 'alice'), null);
  assert.ok(again.of('address', '192.0.2.7'));
  assert.ok(again.of('address', '2001:db8::ffff'), 'an IPv6 address stands for its network');
  assert.equal(again.of('address', '2001:db8:1::1'), null);
  assert.deepEqual(
    again.list().map(({ name }) => name),
    ['alice', '192.0.2.7', '2001:db8:0:0::/64'],
  );
  clock.advance(5_000);
  assert.equal(again.of('login', 'alice'), null);
  assert.equal(await again.remove('login', 'alice'), false);
  assert.equal(await again.remove('address', '2001:db8::2'), true);
  assert.equal(await again.remove('address', '192.0.2.7'), true);
  assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), { bans: [] });
});

test('many at once are all kept', async (t) => {
  const path = join(await tempFolder(t), 'bans.json');
  const bans = await Bans.load(path, new ManualClock(), nobody);
  await Promise.all(Array.from({ length: 20 }, (_, i) => bans.add('login', `user${i}`, Date.now() * 2, '')));
  const again = await Bans.load(path, new ManualClock(), nobody);
  assert.equal(again.list().length, 20);
});

test('a file that is not ours is refused, and one that cannot be written is told', async (t) => {
  const folder = await tempFolder(t);
  const path = join(folder, 'bans.json');
  for (const text of ['', 'x', '{}', '{"bans":[{"kind":"login"}]}', '[]', 'null']) {
    await writeFile(path, text);
    await assert.rejects(Bans.load(path, new ManualClock(), nobody), (error) => error instanceof UsageError, text);
  }
  const unwritable = join(folder, 'new', 'bans.json');
  const bans = await Bans.load(unwritable, new ManualClock(), nobody);
  await writeFile(join(folder, 'new'), 'a file where a folder would be');
  const unwritten = (error: unknown) => error instanceof Fault && error.code === 'E_BANS_FILE';
  await assert.rejects(bans.add('login', 'alice', Date.now() * 2, ''), unwritten);
  assert.ok(bans.of('login', 'alice'), 'it is in force all the same');
  const memory = await Bans.load('', new ManualClock(), nobody);
  await memory.add('login', 'alice', Date.now() * 2, '');
  assert.ok(memory.of('login', 'alice'));
});
