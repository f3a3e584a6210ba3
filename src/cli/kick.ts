import { UsageError } from '../errors.js';
import { jsonText } from '../observe/json-text.js';
import { AdminClient } from './admin-client.js';
import { action, type CommandIo } from './command.js';
import { defineCommand } from './define-command.js';

interface Wanted {
  readonly login: string | undefined;
  readonly client: string | undefined;
  readonly connection: string | undefined;
  readonly json: boolean;
}

async function kick(wanted: Wanted, config: string | undefined, io: CommandIo): Promise<number> {
  const { login, client, connection, json } = wanted;
  if ((login === undefined) === (connection === undefined)) {
    throw new UsageError('kick: a LOGIN or --connection N; see: iotlab-broker kick --help');
  }
  if (client !== undefined && login === undefined) throw new UsageError('kick: --client ID is for a LOGIN');
  const broker = await AdminClient.of(config, io);
  const query = client === undefined ? '' : `?${new URLSearchParams({ client })}`;
  const path =
    connection === undefined
      ? `/users/${encodeURIComponent(login!)}/connections${query}`
      : `/connections/${encodeURIComponent(connection)}`;
  const { ended } = await broker.send<{ ended: number }>('DELETE', path);
  if (json) io.stdout.write(`${jsonText({ ended })}\n`);
  else io.stdout.write(`${ended} ${ended === 1 ? 'connection' : 'connections'} ended\n`);
  return ended > 0 ? 0 : 1;
}

export const command = defineCommand({
  name: 'kick',
  summary: 'end the connections of a login, of one of its clients, or one connection',
  about: `
Ends connections of the running broker. Their clients may come back at once, and most do: to keep them away,
"iotlab-broker ban". The exit code is 1 when there was none.`,
  examples: ['iotlab-broker kick alice --client mqttSerialBridge', 'iotlab-broker kick --connection 17'],
  does: action({
    arguments: ['[LOGIN]'],
    options: {
      client: { type: 'string', value: 'ID', help: 'only the one with this client id' },
      connection: { type: 'string', value: 'N', help: 'the connection with this number, instead of a LOGIN' },
      json: { type: 'boolean', help: 'JSON instead of a sentence' },
    },
    run: ({ args: [login], values: { client, connection, json = false }, config }, io) =>
      kick({ login, client, connection, json }, config, io),
  }),
});
