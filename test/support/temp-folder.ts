import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Scope } from './sockets.js';

/** A new folder that is removed when the test ends, also when something is still being written to it just then. */
export async function tempFolder(scope: Scope): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'iotlab-broker-test-'));
  scope.after(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}
