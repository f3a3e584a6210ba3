import { jsonText } from '../observe/json-text.js';
import { AdminClient } from './admin-client.js';
import { action, type CommandIo } from './command.js';
import { defineCommand } from './define-command.js';
import { duration, many, size } from './quantities.js';

const DAY_MS = 86_400_000;

interface Status {
  readonly status: string;
  readonly version: string;
  readonly uptimeSeconds: number;
  readonly store: string;
  readonly credentials: { readonly backend: string; readonly state: string };
  readonly connections: number;
  readonly usersOnline: number;
  readonly slowedUsers: number;
  readonly waitingConnections: number;
  readonly sessions: number;
  readonly retainedMessages: number;
  readonly heldBytes: number;
  readonly heldBytesLimit: number;
  /** Of those that the broker consists of: they do not answer. */
  readonly missingShards?: readonly number[];
  readonly certificates: readonly { readonly role: string; readonly expires: string }[];
}

async function show(json: boolean, config: string | undefined, io: CommandIo): Promise<number> {
  const status = await (await AdminClient.of(config, io)).get<Status>('/status');
  const works = status.status === 'ok' || status.status === 'degraded';
  const healthy = works && status.missingShards === undefined;
  if (json) io.stdout.write(`${jsonText(status, 2)}\n`);
  else io.stdout.write(inWords(status));
  return healthy ? 0 : 1;
}

function inWords(status: Status): string {
  const { credentials, connections, usersOnline, sessions, retainedMessages, heldBytes, heldBytesLimit } = status;
  const { slowedUsers, waitingConnections } = status;
  const lines = [
    ['broker', `${status.status}, version ${status.version}, up ${duration(status.uptimeSeconds * 1_000)}`],
    ['store', status.store],
    ['credentials', `${credentials.state} (${credentials.backend})`],
    ['connections', `${connections}, of ${many(usersOnline, 'user')}`],
    ...(slowedUsers > 0
      ? [
          [
            'slowed',
            `${many(slowedUsers, 'user')} by rates; ${many(waitingConnections, 'connection')} waiting for that`,
          ],
        ]
      : []),
    ['sessions', `${sessions}`],
    ['retained', many(retainedMessages, 'message')],
    ...(status.certificates.length > 0 ? [['certificates', status.certificates.map(left).join(', ')]] : []),
    ['memory', `${size(heldBytes)} held for users, of ${size(heldBytesLimit)}`],
  ];
  return lines.map(([name = '', text]) => `${name.padEnd(12)} ${text}\n`).join('');
}

function left({ role, expires }: Status['certificates'][number]): string {
  const days = Math.floor((Date.parse(expires) - Date.now()) / DAY_MS);
  return days < 0 ? `${role} has expired` : `${role} for ${many(days, 'day')}`;
}

export const command = defineCommand({
  name: 'status',
  summary: 'say how the running broker is',
  about: `
Asks the running broker, over its admin socket (admin.socket). The exit code is 0 while it does its work and 1 when it
does not, or is not there.`,
  examples: ['iotlab-broker status'],
  does: action({
    options: { json: { type: 'boolean', help: 'JSON instead of lines' } },
    run: ({ values, config }, io) => show(values.json === true, config, io),
  }),
});
