import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import net from 'node:net';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { listenUnix, whatIsAt } from '../src/unix-socket.js';
import { tempFolder } from './support/temp-folder.js';

test('a socket is made within its folder, since the one above may be closed to the broker, and leaves nothing there', async (t) => {
  const folder = await tempFolder(t);
  const path = join(folder, 'a.sock');
  const server = net.createServer();
  t.after(() => server.close());
  const remove = await listenUnix(server, { path }, async (made) => {
    assert.equal(dirname(dirname(made)), folder);
  });
  assert.deepEqual([await readdir(folder), await whatIsAt(path)], [['a.sock'], 'in-use']);
  remove();
  assert.deepEqual(await readdir(folder), []);
});
