import { UsageError } from '../errors.js';
import { jsonText } from '../observe/json-text.js';
import { AdminClient } from './admin-client.js';
import { action, type CommandIo } from './command.js';
import { defineCommand } from './define-command.js';
import { duration, size } from './quantities.js';
import { table } from './table.js';

interface Row {
  readonly n: number;
  readonly state: 'open' | 'closed';
  readonly login: string | null;
  readonly client: string | null;
  readonly address: string;
  readonly protocol: string | null;
  readonly since: string;
  readonly until?: string;
  readonly reason?: string;
  readonly inWords?: string;
  readonly silentSeconds?: number;
  readonly subscriptionCount?: number;
  subscriptions?: readonly { readonly filter: string; readonly qos: number }[];
  readonly queuedMessages?: number;
  readonly publishesReceived: number;
  readonly publishesSent: number;
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

interface List {
  readonly connections: readonly Row[];
  readonly total: number;
  readonly next: string | null;
}

/** What a page has at the most. */
const PAGE = 1_000;

interface Wanted {
  readonly login: string | undefined;
  readonly address: string | undefined;
  readonly ended: boolean;
  readonly sort: string;
  readonly limit: number;
  readonly subscriptions: boolean;
  readonly json: boolean;
}

async function list(wanted: Wanted, config: string | undefined, io: CommandIo): Promise<number> {
  const client = await AdminClient.of(config, io);
  const rows: Row[] = [];
  let total = 0;
  for (let cursor: string | null = ''; cursor !== null && rows.length < wanted.limit; ) {
    const query = new URLSearchParams({ sort: wanted.sort, state: wanted.ended ? 'closed' : 'open' });
    query.set('limit', String(Math.min(PAGE, wanted.limit - rows.length)));
    if (wanted.login !== undefined) query.set('login', wanted.login);
    if (wanted.address !== undefined) query.set('address', wanted.address);
    if (cursor !== '') query.set('cursor', cursor);
    const page: List = await client.get<List>(`/connections?${query}`);
    rows.push(...page.connections);
    total = page.total;
    cursor = page.next;
  }
  if (wanted.subscriptions) await addSubscriptions(client, rows);
  if (wanted.json) {
    io.stdout.write(`${jsonText(rows, 2)}\n`);
    return 0;
  }
  io.stdout.write(wanted.ended ? endedTable(rows) : openTable(rows));
  if (total > rows.length) io.stderr.write(`${rows.length} of ${total}; --limit shows more\n`);
  return 0;
}

/** Which filters each has, the first two hundred; nothing for a connection that has ended meanwhile. */
async function addSubscriptions(client: AdminClient, rows: Row[]): Promise<void> {
  for (const row of rows) {
    row.subscriptions = await client.get<Pick<Row, 'subscriptions'>>(`/connections/${row.n}`).then(
      ({ subscriptions }) => subscriptions ?? [],
      (error) => {
        if (error instanceof UsageError) return [];
        throw error;
      },
    );
  }
}

function filterTable(rows: readonly Row[]): string {
  const filters = rows.flatMap(({ n, client, subscriptions = [] }) =>
    subscriptions.map(({ filter, qos }) => [n, client ?? '-', qos, filter]),
  );
  return filters.length === 0 ? '' : `\n${table(['N', 'CLIENT', 'QOS', 'FILTER'], filters)}`;
}

function openTable(rows: readonly Row[]): string {
  const filters = filterTable(rows);
  return `${connectionTable(rows)}${filters}`;
}

function connectionTable(rows: readonly Row[]): string {
  return table(
    ['N', 'LOGIN', 'CLIENT', 'ADDRESS', 'MQTT', 'UP', 'SILENT', 'SUBS', 'QUEUED', 'MSG IN', 'MSG OUT', 'IN', 'OUT'],
    rows.map((row) => [
      ...[row.n, row.login ?? '-', row.client ?? '-', row.address, row.protocol ?? '-', ago(row.since)],
      ...[duration((row.silentSeconds ?? 0) * 1_000), row.subscriptionCount ?? 0, row.queuedMessages ?? 0],
      ...[row.publishesReceived, row.publishesSent, size(row.bytesReceived), size(row.bytesSent)],
    ]),
  );
}

function endedTable(rows: readonly Row[]): string {
  return table(
    ['N', 'LOGIN', 'CLIENT', 'ADDRESS', 'MQTT', 'ENDED', 'LASTED', 'MSG IN', 'MSG OUT', 'WHY'],
    rows.map((row) => [
      ...[row.n, row.login ?? '-', row.client ?? '-', row.address, row.protocol ?? '-', `${ago(row.until!)} ago`],
      duration(Date.parse(row.until!) - Date.parse(row.since)),
      ...[row.publishesReceived, row.publishesSent, row.reason ?? ''],
    ]),
  );
}

function ago(date: string): string {
  return duration(Date.now() - Date.parse(date));
}

export function countOf(text: string | undefined, otherwise: number, option: string): number {
  if (text === undefined) return otherwise;
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new UsageError(`--${option} ${text} is not a number from 1 on`);
  return Number(text);
}

export const command = defineCommand({
  name: 'clients',
  summary: 'list who is connected, or whose connection has ended',
  about: `
Lists the connections of the running broker; of those that have ended, the last thousand, with the reason. N is what
"iotlab-broker kick --connection N" wants.`,
  examples: ['iotlab-broker clients --sort queued', 'iotlab-broker clients alice --subscriptions'],
  does: action({
    arguments: ['[LOGIN]'],
    options: {
      ended: { type: 'boolean', help: 'those that have ended, instead of the open ones' },
      address: { type: 'string', value: 'ADDRESS', help: 'only those from there' },
      sort: {
        type: 'string',
        value: 'n|ended|login|client|address|received|sent|publishes|queued|silent|dropped',
        help: 'the order; the newest come first unless given, or those that ended last',
      },
      subscriptions: { type: 'boolean', help: 'the filters of each, too' },
      limit: { type: 'string', value: 'COUNT', help: 'how many at the most; 100 unless given' },
      json: { type: 'boolean', help: 'JSON instead of a table' },
    },
    run: ({ args: [login], values, config }, io) => {
      const {
        ended = false,
        address,
        sort = ended ? 'ended' : 'n',
        limit,
        subscriptions = false,
        json = false,
      } = values;
      if (ended && subscriptions) throw new UsageError('clients: --subscriptions is for open connections');
      const wanted = { login, address, ended, sort, subscriptions, json };
      return list({ ...wanted, limit: countOf(limit, 100, 'limit') }, config, io);
    },
  }),
});
