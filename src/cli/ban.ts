import { durations, readUnits } from '../config/units.js';
import { UsageError } from '../errors.js';
import { jsonText } from '../observe/json-text.js';
import { AdminClient } from './admin-client.js';
import { action, type CommandIo, type Options } from './command.js';
import { defineCommand } from './define-command.js';
import { duration } from './quantities.js';
import { table } from './table.js';

interface Row {
  readonly login?: string;
  readonly address?: string;
  readonly since: string;
  readonly until: string;
  readonly reason: string;
}

interface Whom {
  readonly login: string | undefined;
  readonly address: string | undefined;
}

function whom({ login, address }: Whom, name: string): { login: string } | { address: string } {
  if (login !== undefined && address === undefined) return { login };
  if (address !== undefined && login === undefined) return { address };
  throw new UsageError(`ban ${name}: a LOGIN or --address ADDRESS; see: iotlab-broker ban --help`);
}

async function add(
  named: Whom,
  { forText, reason }: { forText: string; reason: string },
  config: string | undefined,
  io: CommandIo,
): Promise<number> {
  const ms = readUnits(forText, durations);
  if (typeof ms !== 'number' || ms < 1_000)
    throw new UsageError(`--for ${forText} is not a duration such as 30m, 2h, 7d`);
  const broker = await AdminClient.of(config, io);
  const body = { ...whom(named, 'add'), seconds: Math.round(ms / 1_000), reason };
  const ban = await broker.send<Row & { ended: number }>('POST', '/bans', body);
  const connections = `${ban.ended} ${ban.ended === 1 ? 'connection' : 'connections'} ended`;
  io.stdout.write(`${ban.login ?? ban.address} is kept out until ${ban.until}; ${connections}\n`);
  return 0;
}

async function remove(named: Whom, config: string | undefined, io: CommandIo): Promise<number> {
  const broker = await AdminClient.of(config, io);
  const query = new URLSearchParams(whom(named, 'remove'));
  await broker.send('DELETE', `/bans?${query}`);
  io.stdout.write(`${named.login ?? named.address} may come in again\n`);
  return 0;
}

async function list(json: boolean, config: string | undefined, io: CommandIo): Promise<number> {
  const { bans } = await (await AdminClient.of(config, io)).get<{ bans: readonly Row[] }>('/bans');
  if (json) io.stdout.write(`${jsonText(bans, 2)}\n`);
  else {
    const rows = bans.map(({ login, address, since, until, reason }) => [
      ...[login ?? address ?? '', `${duration(Date.now() - Date.parse(since))} ago`],
      ...[duration(Date.parse(until) - Date.now()), reason],
    ]);
    io.stdout.write(table(['WHO', 'SINCE', 'STILL', 'WHY'], rows));
  }
  return 0;
}

const address = {
  address: {
    type: 'string',
    value: 'ADDRESS',
    help: 'an IP address instead of a LOGIN; a whole class may be behind one (with IPv6, it stands for its /64 network)',
  },
} as const satisfies Options;

export const command = defineCommand({
  name: 'ban',
  summary: 'keep a login out for a while',
  about: `
Ends the connections of a login and lets it in no more until the ban ends, also over a restart (admin.bansFile). Clients
hear what they hear of a wrong password; the log says "banned". To keep somebody out for good, remove the account.`,
  examples: ['iotlab-broker ban add alice --for 2h --reason "a loop in her sketch"', 'iotlab-broker ban list'],
  does: {
    add: action({
      summary: 'keep a login, or an address, out',
      arguments: ['[LOGIN]'],
      options: {
        for: { type: 'string', value: 'DURATION', help: 'such as 30m, 2h, 7d; an hour unless given' },
        reason: { type: 'string', value: 'TEXT', help: 'for whoever looks at the list, and for the user' },
        ...address,
      },
      run: ({ args: [login], values: { for: forText = '1h', reason = '', address }, config }, io) =>
        add({ login, address }, { forText, reason }, config, io),
    }),
    remove: action({
      summary: 'let it in again',
      arguments: ['[LOGIN]'],
      options: address,
      run: ({ args: [login], values: { address }, config }, io) => remove({ login, address }, config, io),
    }),
    list: action({
      summary: 'say who is kept out, and for how long still',
      options: { json: { type: 'boolean', help: 'JSON instead of a table' } },
      run: ({ values, config }, io) => list(values.json === true, config, io),
    }),
  },
});
