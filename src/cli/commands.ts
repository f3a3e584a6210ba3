import type { Command } from './command.js';

/** Every command, loaded when it is asked for: `iotlab-broker user list` need not load the broker. */
export const commands: ReadonlyMap<string, () => Promise<Command>> = new Map<string, () => Promise<Command>>([
  ['acl', async () => (await import('./acl.js')).command],
  ['certs', async () => (await import('./certs.js')).command],
  ['config', async () => (await import('./config.js')).command],
  ['credentials', async () => (await import('./credentials.js')).command],
  ['serve', async () => (await import('./serve.js')).command],
  ['storage', async () => (await import('./storage.js')).command],
  ['test', async () => (await import('./test.js')).command],
  ['user', async () => (await import('./user.js')).command],
]);
