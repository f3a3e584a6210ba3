import { durations, readUnits, sizes } from '../config/units.js';
import { UsageError } from '../errors.js';
import { jsonText } from '../observe/json-text.js';
import { AdminClient } from './admin-client.js';
import { action, type CommandIo } from './command.js';
import { defineCommand } from './define-command.js';
import { duration, size } from './quantities.js';
import { cell, table } from './table.js';

interface Override {
  readonly login?: string;
  readonly group?: string;
  readonly limits: Readonly<Record<string, number>>;
  readonly since: string;
  readonly until: string | null;
  readonly reason: string;
}

interface UserLimits {
  readonly login: string;
  readonly limits: Readonly<Record<string, number>>;
  readonly use: readonly { readonly limit: string; readonly used: number; readonly most: number }[];
  readonly rates: readonly {
    readonly direction: 'in' | 'out';
    readonly messagesLeft: number | null;
    readonly bytesLeft: number | null;
    readonly slowed: boolean;
    readonly slowedMs: number;
    readonly waiting: number;
  }[];
  /** Over the last minute. */
  readonly perSecond: Readonly<Record<(typeof rateOf)[keyof typeof rateOf], number>>;
  /** The one that counts first first. */
  readonly decided: readonly Override[];
  readonly bannedUntil: string | null;
  readonly groups: readonly string[];
  readonly notes: readonly string[];
  readonly former?: Override;
}

interface GroupLimits {
  readonly group: string;
  readonly decided: readonly Override[];
  readonly notes: readonly string[];
  readonly former?: Override;
}

/** What is held against a rate. */
const rateOf = {
  messagesInPerSecond: 'publishesReceived',
  bytesInPerSecond: 'bytesReceived',
  messagesOutPerSecond: 'publishesSent',
  bytesOutPerSecond: 'bytesSent',
} as const;

/** Of a login, or of a group behind an `@`. */
function pathOf(whose: string): string {
  if (whose === '' || whose === '@') throw new UsageError('name a login, or a group behind an @, such as @students');
  return whose.startsWith('@')
    ? `/groups/${encodeURIComponent(whose.slice(1))}/limits`
    : `/users/${encodeURIComponent(whose)}/limits`;
}

async function show(login: string, json: boolean, config: string | undefined, io: CommandIo): Promise<number> {
  const answer = await (await AdminClient.of(config, io)).get<UserLimits | GroupLimits>(pathOf(login));
  io.stdout.write(json ? `${jsonText(answer, 2)}\n` : inWords(answer));
  return 0;
}

async function set(
  login: string,
  given: readonly string[],
  { forText, reason }: { forText: string | undefined; reason: string },
  config: string | undefined,
  io: CommandIo,
): Promise<number> {
  const limits = Object.fromEntries(given.map(readLimit));
  const seconds = forText === undefined ? null : secondsOf(forText);
  const path = pathOf(login);
  const broker = await AdminClient.of(config, io);
  const answer = await broker.send<UserLimits | GroupLimits>('PUT', path, { limits, seconds, reason });
  io.stdout.write(inWords(answer));
  const { former } = answer;
  if (former !== undefined) {
    const lost = Object.entries(former.limits).filter(([name]) => !(name in limits));
    io.stdout.write(`this takes the place of what was ${decisionInWords(former)}`);
    if (lost.length > 0) {
      const both = [...lost.map(([name, value]) => setting(name, value)), ...given].join(' ');
      io.stdout.write(`to have both: iotlab-broker limits set ${login} ${both}\n`);
    }
  }
  return 0;
}

async function reset(login: string, config: string | undefined, io: CommandIo): Promise<number> {
  const broker = await AdminClient.of(config, io);
  await broker.send('DELETE', pathOf(login));
  io.stdout.write(`${login} has the usual limits again\n`);
  return 0;
}

async function list(json: boolean, config: string | undefined, io: CommandIo): Promise<number> {
  const broker = await AdminClient.of(config, io);
  const { overrides } = await broker.get<{ overrides: readonly Override[] }>('/limits');
  if (json) io.stdout.write(`${jsonText(overrides, 2)}\n`);
  else {
    const rows = overrides.map((it) => [whose(it), settings(it.limits), still(it.until), it.reason]);
    io.stdout.write(table(['WHO', 'LIMITS', 'STILL', 'WHY'], rows));
  }
  return 0;
}

/** `messagesInPerSecond=10`, `bytesOutPerSecond=100KiB`, `burstMs=5s`. */
function readLimit(text: string): [name: string, value: unknown] {
  const [, name, value] = /^(\w+)=(\S+)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new UsageError(`${JSON.stringify(text)} is not of the form LIMIT=VALUE, such as messagesInPerSecond=10`);
  }
  if (/^\d+$/.test(value)) return [name, Number(value)];
  return [name, readUnits(value, /ms$/i.test(name) ? durations : sizes)];
}

function secondsOf(text: string): number {
  const ms = readUnits(text, durations);
  if (typeof ms !== 'number' || ms < 1_000) throw new UsageError(`--for ${text} is not a duration such as 30m, 2h, 7d`);
  return Math.round(ms / 1_000);
}

const amount = (name: string, value: number): string =>
  /bytes|memory/i.test(name) ? size(value) : /ms$/i.test(name) ? duration(value) : String(value);

const whose = ({ login, group }: Override): string => login ?? `@${group}`;

function decisionInWords(it: Override): string {
  const until = it.until === null ? 'until it is taken back' : `for ${still(it.until)} still`;
  const why = it.reason === '' ? '' : ` (${cell(it.reason, Number.POSITIVE_INFINITY)})`;
  return `decided by an operator for ${whose(it)}, ${until}: ${settings(it.limits)}${why}\n`;
}

function inWords(answer: UserLimits | GroupLimits): string {
  if ('group' in answer) {
    const decided = answer.decided.map(decisionInWords).join('') || `nothing is decided for @${answer.group}\n`;
    return `${decided}${answer.notes.map(noteLine).join('')}`;
  }
  const { login, limits, use, rates, perSecond, decided, bannedUntil, groups, notes } = answer;
  const rated = Object.entries(rateOf).map(([limit, name]) => {
    return { limit, used: perSecond[name], most: limits[limit] ?? 0 };
  });
  const taken = new Map([...use, ...rated].map((each) => [each.limit, each]));
  const rows = Object.entries(limits).map(([name, value]) => {
    const { used, most = value } = taken.get(name) ?? {};
    const unlimited = /PerSecond$/.test(name) && value === 0;
    return [
      ...[name, used === undefined ? '' : amount(name, used), unlimited ? 'no limit' : amount(name, most)],
      used === undefined || most === 0 ? '' : `${Math.round((100 * used) / most)} %`,
    ];
  });
  const lines = rates
    .filter(({ slowedMs }) => slowedMs > 0)
    .map(({ direction, slowed, slowedMs, waiting }) => {
      const what = direction === 'in' ? 'messages from' : 'messages to';
      const now = slowed ? `, and are now${waiting > 0 ? `: ${waiting} connections wait` : ''}` : '';
      return `${what} ${login} were slowed for ${duration(slowedMs)} in all${now}\n`;
    });
  if (groups.length > 0) lines.push(`${login} belongs to ${groups.map((group) => `@${group}`).join(', ')}\n`);
  lines.push(...decided.map(decisionInWords));
  if (bannedUntil !== null) lines.push(`${login} is kept out until ${bannedUntil}\n`);
  lines.push(...notes.map(noteLine));
  return `${table(['LIMIT', 'USED', 'OF', 'SHARE'], rows)}${lines.join('')}`;
}

const still = (until: string | null): string => (until === null ? '' : duration(Date.parse(until) - Date.now()));

const settings = (limits: Readonly<Record<string, number>>): string =>
  Object.entries(limits)
    .map(([name, value]) => setting(name, value))
    .join(' ');

const setting = (name: string, value: number): string => `${name}=${amount(name, value).replace(' ', '')}`;

const noteLine = (note: string): string => `note: ${cell(note, Number.POSITIVE_INFINITY)}\n`;

export const command = defineCommand({
  name: 'limits',
  summary: 'show what a login takes of its limits; give it, or a group, others',
  about: `
Asks the running broker. What is set counts at once, for connections that are there too, over restarts, and over what the
configuration says (limits, userLimits), until the time of --for is over or it is taken back. Rates slow a user: its
packets are read, or sent, later, and none is dropped for that. @GROUP in the place of LOGIN is for each of its members;
what is decided for a login comes before what is decided for its groups. For each of them there is one decision at a
time, with one end and one reason: what is set takes the place of what was set before, which is then said.`,
  examples: [
    'iotlab-broker limits show alice',
    'iotlab-broker limits set alice messagesInPerSecond=5 --for 2h --reason "a loop in her sketch"',
    'iotlab-broker limits set alice messagesInPerSecond=5 connectionsPerUser=50 --for 2h',
    'iotlab-broker limits set @students messagesInPerSecond=20 --for 90m',
  ],
  does: {
    show: action({
      summary: 'what it has and what it takes',
      arguments: ['LOGIN'],
      options: { json: { type: 'boolean', help: 'JSON instead of a table' } },
      run: ({ args: [login], values, config }, io) => show(login, values.json === true, config, io),
    }),
    set: action({
      summary: 'give a login other limits',
      arguments: ['LOGIN', 'LIMIT=VALUE', '[LIMIT=VALUE]…'],
      options: {
        for: { type: 'string', value: 'DURATION', help: 'such as 30m, 2h, 7d; until it is taken back unless given' },
        reason: { type: 'string', value: 'TEXT', help: 'for whoever looks at it later' },
      },
      run: ({ args: [login, first, ...more], values: { for: forText, reason = '' }, config }, io) => {
        const given = [first, ...more].filter((text) => text !== undefined);
        return set(login, given, { forText, reason }, config, io);
      },
    }),
    reset: action({
      summary: 'the usual limits again',
      arguments: ['LOGIN'],
      run: ({ args: [login], config }, io) => reset(login, config, io),
    }),
    list: action({
      summary: 'who has other limits by an operator',
      options: { json: { type: 'boolean', help: 'JSON instead of a table' } },
      run: ({ values, config }, io) => list(values.json === true, config, io),
    }),
  },
});
