import { AdminClient } from './admin-client.js';
import { action, type CommandIo } from './command.js';
import { defineCommand } from './define-command.js';
import { size } from './quantities.js';
import { table } from './table.js';

interface User {
  readonly login: string;
  readonly groups: readonly string[];
  readonly limits: readonly { readonly limit: string; readonly used: number; readonly most: number }[];
  readonly bannedUntil: string | null;
}

async function show(login: string, json: boolean, config: string | undefined, io: CommandIo): Promise<number> {
  const broker = await AdminClient.of(config, io);
  const user = await broker.get<User>(`/users/${encodeURIComponent(login)}`);
  if (json) io.stdout.write(`${JSON.stringify(user.limits, null, 2)}\n`);
  else {
    const rows = user.limits.map(({ limit, used, most }) => [
      ...[limit, amount(limit, used), amount(limit, most)],
      most === 0 ? '-' : `${Math.round((100 * used) / most)} %`,
    ]);
    io.stdout.write(table(['LIMIT', 'USED', 'OF', 'SHARE'], rows));
    if (user.bannedUntil !== null) io.stdout.write(`${user.login} is kept out until ${user.bannedUntil}\n`);
  }
  return 0;
}

function amount(limit: string, value: number): string {
  return /bytes|memory/i.test(limit) ? size(value) : String(value);
}

export const command = defineCommand({
  name: 'limits',
  summary: 'say how much of each limit a login uses',
  about: `
Says how much a login has of everything that a user may only have so much of (limits.… of the configuration), with the
numbers by which the running broker refuses more.`,
  examples: ['iotlab-broker limits show alice'],
  does: {
    show: action({
      arguments: ['LOGIN'],
      options: { json: { type: 'boolean', help: 'JSON instead of a table' } },
      run: ({ args: [login], values, config }, io) => show(login, values.json === true, config, io),
    }),
  },
});
