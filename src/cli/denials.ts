import { jsonText } from '../observe/json-text.js';
import { AdminClient } from './admin-client.js';
import { countOf } from './clients.js';
import { action, type CommandIo } from './command.js';
import { defineCommand } from './define-command.js';
import { duration } from './quantities.js';
import { table } from './table.js';

interface Row {
  readonly time: string;
  readonly count: number;
  readonly login: string | null;
  readonly client: string | null;
  readonly action: string;
  readonly topic: string | null;
  readonly address?: string;
  readonly reason: string;
  readonly hint: string;
}

interface Wanted {
  readonly login: string | undefined;
  readonly limit: number;
  readonly json: boolean;
}

async function list({ login, limit, json }: Wanted, config: string | undefined, io: CommandIo): Promise<number> {
  const client = await AdminClient.of(config, io);
  const query = new URLSearchParams({ limit: String(Math.min(1_000, limit)) });
  if (login !== undefined) query.set('login', login);
  const { denials } = await client.get<{ denials: readonly Row[] }>(`/denials?${query}`);
  if (json) io.stdout.write(`${jsonText(denials, 2)}\n`);
  else {
    const rows = denials.map((row) => [
      ...[`${duration(Date.now() - Date.parse(row.time))} ago`, row.count, row.login ?? '-', row.client || '-'],
      ...[row.action, row.topic ?? row.address ?? '', row.reason, row.hint],
    ]);
    io.stdout.write(table(['WHEN', 'TIMES', 'LOGIN', 'CLIENT', 'WHAT', 'TOPIC', 'REASON', 'WHAT HELPS'], rows));
  }
  return 0;
}

export const command = defineCommand({
  name: 'denials',
  summary: 'list what was denied, dropped or refused lately, and what helps',
  about: `
Lists what the running broker denied lately, newest first: publishes, subscriptions and Wills, messages that were dropped
on their way to a client, and refused connections. What was repeated stands there once, with how often it was. Of a
refused connection the login is what was typed; nobody checked it.`,
  examples: ['iotlab-broker denials alice'],
  does: action({
    arguments: ['[LOGIN]'],
    options: {
      limit: { type: 'string', value: 'COUNT', help: 'how many at the most; 100 unless given' },
      json: { type: 'boolean', help: 'JSON instead of a table' },
    },
    run: ({ args: [login], values: { limit, json = false }, config }, io) =>
      list({ login, limit: countOf(limit, 100, 'limit'), json }, config, io),
  }),
});
