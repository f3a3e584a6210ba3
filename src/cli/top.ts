import { setTimeout as later } from 'node:timers/promises';
import { jsonText } from '../observe/json-text.js';
import { AdminClient } from './admin-client.js';
import { countOf } from './clients.js';
import { action, type CommandIo } from './command.js';
import { defineCommand } from './define-command.js';
import { rawOutput } from './printable-io.js';
import { duration, size } from './quantities.js';
import { table } from './table.js';

interface Row {
  readonly login: string;
  readonly connections: number;
  readonly queuedMessages: number;
  readonly heldBytes: number;
  readonly denials: number;
  readonly perSecond: {
    readonly publishesReceived: number;
    readonly publishesSent: number;
    readonly bytesReceived: number;
    readonly bytesSent: number;
  };
}

interface Slow {
  readonly login: string;
  readonly client: string;
  readonly inflightMessages: number;
  readonly queuedMessages: number;
  readonly droppedMessages: number;
  readonly oldestUnacknowledgedSeconds: number | null;
}

interface Wanted {
  readonly sort: string;
  readonly limit: number;
  readonly slow: boolean;
  readonly once: boolean;
  readonly json: boolean;
}

const PERIOD_MS = 2_000;
/** To the upper left, and everything from there on away. */
const CLEAR = '\u001b[H\u001b[J';

async function top(wanted: Wanted, config: string | undefined, io: CommandIo): Promise<number> {
  const { sort, limit, slow, once, json } = wanted;
  const broker = await AdminClient.of(config, io);
  if (json) {
    const found = slow ? await broker.get('/slow') : await usersBy(broker, sort, limit);
    io.stdout.write(`${jsonText(found, 2)}\n`);
    return 0;
  }
  const show = async () => (slow ? slowText(await broker.get('/slow')) : await usersText(broker, sort, limit));
  if (once || io.stdout.isTTY !== true) {
    io.stdout.write(await show());
    return 0;
  }
  // Until Ctrl-C, or until the broker is gone.
  for (;;) {
    const text = await show();
    rawOutput(io.stdout).write(CLEAR);
    io.stdout.write(text);
    await later(PERIOD_MS);
  }
}

async function usersBy(broker: AdminClient, sort: string, limit: number): Promise<readonly Row[]> {
  const query = new URLSearchParams({ sort, limit: String(Math.min(1_000, limit)) });
  return (await broker.get<{ users: readonly Row[] }>(`/users?${query}`)).users;
}

async function usersText(broker: AdminClient, sort: string, limit: number): Promise<string> {
  const users = await usersBy(broker, sort, limit);
  return table(
    ['LOGIN', 'CLIENTS', 'MSG IN/S', 'MSG OUT/S', 'IN/S', 'OUT/S', 'QUEUED', 'MEMORY', 'DENIALS'],
    users.map(({ login, connections, perSecond, queuedMessages, heldBytes, denials }) => [
      ...[login, connections, perSecond.publishesReceived, perSecond.publishesSent],
      ...[size(perSecond.bytesReceived), size(perSecond.bytesSent), queuedMessages, size(heldBytes), denials],
    ]),
  );
}

function slowText({
  oldest,
  dropped,
}: {
  readonly oldest: readonly Slow[];
  readonly dropped: readonly Slow[];
}): string {
  const rows = (of: readonly Slow[]) =>
    of.map((row) => [
      ...[row.login, row.client, row.inflightMessages, row.queuedMessages, row.droppedMessages],
      row.oldestUnacknowledgedSeconds === null ? '-' : duration(row.oldestUnacknowledgedSeconds * 1_000),
    ]);
  const head = ['LOGIN', 'CLIENT', 'IN FLIGHT', 'QUEUED', 'DROPPED', 'OLDEST'];
  return `Longest without an acknowledgement:\n${table(head, rows(oldest))}\nMost dropped:\n${table(head, rows(dropped))}`;
}

export const command = defineCommand({
  name: 'top',
  summary: 'show who uses the broker most, as it goes on',
  about: `
Shows the users of the running broker with what they send and get a second, over the last minute; on a terminal again
every two seconds, until Ctrl-C. With --slow, the clients that do not keep up.`,
  examples: ['iotlab-broker top --sort publishes', 'iotlab-broker top --slow --once'],
  does: action({
    options: {
      sort: {
        type: 'string',
        value: 'login|connections|received|sent|publishes|queued|held|denials',
        help: 'the order; publishes unless given',
      },
      limit: { type: 'string', value: 'COUNT', help: 'how many at the most; 20 unless given' },
      slow: { type: 'boolean', help: 'the clients with the oldest unacknowledged message, and those with most drops' },
      once: { type: 'boolean', help: 'show it once, also on a terminal' },
      json: { type: 'boolean', help: 'once, and as JSON' },
    },
    run: ({ values: { sort = 'publishes', limit, slow = false, once = false, json = false }, config }, io) =>
      top({ sort, limit: countOf(limit, 20, 'limit'), slow, once, json }, config, io),
  }),
});
