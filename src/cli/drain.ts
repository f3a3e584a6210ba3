import { UsageError } from '../errors.js';
import { AdminClient } from './admin-client.js';
import { action, type CommandIo } from './command.js';
import { defineCommand } from './define-command.js';

const LONGEST_SECONDS = 3_600;

async function drain(over: string, config: string | undefined, io: CommandIo): Promise<number> {
  const seconds = Number(over);
  if (!/^\d{1,4}$/.test(over) || seconds > LONGEST_SECONDS) {
    throw new UsageError(`drain: --over ${over} is not a number of seconds from 0 to ${LONGEST_SECONDS}`);
  }
  const client = await AdminClient.of(config, io);
  const { connections } = await client.send<{ connections: number }>('POST', '/drain', { seconds });
  io.stdout.write(`${connections} connections end within ${seconds} seconds; /ready says no\n`);
  return 0;
}

export const command = defineCommand({
  name: 'drain',
  summary: 'send the clients elsewhere, one after the other',
  about: `
For what stands before the running broker: GET /ready of admin.port answers 503 from now on, and the connections that there
are, and those that still come, end evenly within that time, so that their users do not all come back at once. The broker
goes on until it is stopped; only a restart ends this.`,
  examples: ['iotlab-broker drain --over 60'],
  does: action({
    options: { over: { type: 'string', value: 'SECONDS', help: 'within which time; 30 unless given' } },
    run: ({ values: { over = '30' }, config }, io) => drain(over, config, io),
  }),
});
