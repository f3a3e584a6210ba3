import { durations, readUnits } from '../config/units.js';
import { UsageError } from '../errors.js';
import { jsonText } from '../observe/json-text.js';
import { AdminClient } from './admin-client.js';
import { action, type CommandIo } from './command.js';
import { defineCommand } from './define-command.js';
import { cell } from './table.js';

interface Event {
  readonly time: string;
  readonly event: string;
  readonly client?: string;
  readonly topic?: string;
  readonly payload?: string;
  readonly [field: string]: unknown;
}

interface Wanted {
  readonly login: string;
  readonly client: string | undefined;
  readonly topic: string | undefined;
  readonly forText: string;
  readonly payload: boolean;
  readonly json: boolean;
}

async function trace(wanted: Wanted, config: string | undefined, io: CommandIo): Promise<number> {
  const { login, client, topic, forText, payload, json } = wanted;
  const ms = readUnits(forText, durations);
  if (typeof ms !== 'number') throw new UsageError(`--for ${forText} is not a duration such as 30s, 10m, 1h`);
  const broker = await AdminClient.of(config, io);
  const order = { login, payload, seconds: Math.round(ms / 1_000), ...(client && { client }), ...(topic && { topic }) };
  const { id, until } = await broker.send<{ id: string; until: string }>('POST', '/traces', order);
  // It may be somebody who has yet to come: that is no reason not to wait.
  const { notes } = await broker.get<{ notes: readonly string[] }>(`/users/${encodeURIComponent(login)}/limits`);
  for (const note of notes.filter((each) => each.startsWith('there is no '))) io.stderr.write(`note: ${note}\n`);
  io.stderr.write(`tracing ${login} until ${until}; Ctrl-C ends it\n`);
  // Who leaves ends the trace.
  for await (const event of broker.lines(`/traces/${id}/stream`)) {
    io.stdout.write(json ? `${jsonText(event)}\n` : `${inWords(event as Event)}\n`);
  }
  return 0;
}

/** One line, whatever is in the topic or the payload. */
function inWords({ time, event, client = '', topic, payload, ...rest }: Event): string {
  const details = Object.entries(rest)
    .filter(([, value]) => value !== null && value !== false)
    .map(([name, value]) => (value === true ? name : `${name} ${whole(value)}`));
  const parts = [time.slice(11, 23), cell(client), arrows[event] ?? ' ', event];
  if (topic !== undefined) parts.push(line(topic));
  parts.push(...details);
  if (payload !== undefined) parts.push(`| ${line(payload)}`);
  return parts.join('  ');
}

/** Which way it went, seen from the broker. */
const arrows: Readonly<Record<string, string>> = { published: '>', packet: '>', sent: '<', denied: 'x' };

/** What helps is no use when it is cut. */
const whole = (value: unknown) =>
  cell(Array.isArray(value) ? value.join(' ') : String(value), Number.POSITIVE_INFINITY);

/** As `cell`, in full length. */
function line(text: string): string {
  return text.replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t');
}

export const command = defineCommand({
  name: 'trace',
  summary: 'watch what a login sends, gets and is denied, as it happens',
  about: `
Shows what the clients of a login do, one line an event: published (with how many got it), sent, packet (any other that
came), denied with what helps, connected, disconnected. Several may run at once; what is too much to read is counted as
lost. Payloads are hidden unless asked for; the audit log says who was traced, and whether with payloads.`,
  examples: [
    'iotlab-broker trace alice',
    "iotlab-broker trace alice --client sensor --topic 'iotlab/alice/#' --payload",
  ],
  does: action({
    arguments: ['LOGIN'],
    options: {
      client: { type: 'string', value: 'ID', help: 'only the client with this client id' },
      topic: { type: 'string', value: 'FILTER', help: 'of what has a topic, only what this filter matches' },
      for: { type: 'string', value: 'DURATION', help: 'how long, up to 1h; 10m unless given' },
      payload: { type: 'boolean', help: 'show the first 256 bytes of payloads' },
      json: { type: 'boolean', help: 'one object of JSON a line' },
    },
    run: (
      { args: [login], values: { client, topic, for: forText = '10m', payload = false, json = false }, config },
      io,
    ) => trace({ login, client, topic, forText, payload, json }, config, io),
  }),
});
