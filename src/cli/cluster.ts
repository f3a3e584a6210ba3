import { availableParallelism } from 'node:os';
import { haproxyConfig, proxyFiles } from '../cluster/haproxy-config.js';
import { createProxyCertificate } from '../cluster/proxy-certificate.js';
import { frontCertificate, writeProxyFiles } from '../cluster/write-files.js';
import { loadConfig } from '../config/load.js';
import { UsageError } from '../errors.js';
import { shardOf } from '../shard.js';
import { AdminClient } from './admin-client.js';
import { action, type CommandIo } from './command.js';
import { defineCommand } from './define-command.js';
import { shardsOption, withShards } from './shards-option.js';
import { table } from './table.js';

/** How often a restart in hand is asked about. */
const RESTART_PERIOD_MS = 200;

interface Wanted {
  readonly shards?: string | undefined;
  readonly write?: boolean | undefined;
}

async function showConfig({ shards, write }: Wanted, file: string | undefined, io: CommandIo): Promise<number> {
  const config = withShards(await loadConfig(file, io.env), shards);
  if (config.listener.port === 0) {
    throw new UsageError('listener.port: 0 is any free port, and HAProxy needs to know which. Set one.');
  }
  const files = proxyFiles(config.cluster.proxy.folder);
  if (write !== true) {
    io.stdout.write(haproxyConfig(config, files, availableParallelism()));
    return 0;
  }
  await writeProxyFiles(config, files, await frontCertificate(config), availableParallelism());
  for (const path of [files.config, files.certificate, files.mails]) io.stdout.write(`${path}\n`);
  return 0;
}

async function showShard(login: string, { shards }: Wanted, file: string | undefined, io: CommandIo): Promise<number> {
  const { cluster } = withShards(await loadConfig(file, io.env), shards);
  io.stdout.write(`${shardOf(login, cluster.shards)}\n`);
  return 0;
}

const CERTIFICATE_DAYS = 3_650;

async function makeCertificate(file: string | undefined, io: CommandIo): Promise<number> {
  const made = await createProxyCertificate(await loadConfig(file, io.env), CERTIFICATE_DAYS);
  io.stdout.write(`${made.join('\n')}\nthe same two files belong on every machine\n`);
  return 0;
}

interface Shards {
  readonly shards: readonly {
    readonly shard: number;
    readonly pid: number | null;
    readonly serving: boolean;
    /** It serves, and leaves questions without an answer. */
    readonly silent: boolean;
    readonly standby: boolean;
    readonly since: string | null;
  }[];
  readonly proxy: number | null;
  readonly restarting: boolean;
}

async function showStatus(config: string | undefined, io: CommandIo): Promise<number> {
  const { shards, proxy } = await (await AdminClient.of(config, io)).get<Shards>('/shards');
  const rows = shards.map((it) => [it.shard, it.pid ?? '-', stateOf(it), it.since ?? '-']);
  io.stdout.write(table(['SHARD', 'PID', 'STATE', 'SINCE'], rows));
  io.stdout.write(proxy === null ? 'HAProxy is not run by this broker\n' : `HAProxy: pid ${proxy}\n`);
  return shards.every(isWell) ? 0 : 1;
}

type ShardState = Shards['shards'][number];

const isWell = ({ serving, silent, standby }: ShardState) => (serving && !silent) || standby;

function stateOf({ serving, silent, standby }: ShardState): string {
  if (serving) return silent ? 'does not answer' : 'serves';
  return standby ? 'stands by' : 'down';
}

/** Returns when all of them serve again. */
async function restart(config: string | undefined, io: CommandIo): Promise<number> {
  const client = await AdminClient.of(config, io);
  await client.send('POST', '/shards/restart');
  for (;;) {
    const { restarting, shards } = await client.get<Shards>('/shards');
    if (!restarting) {
      const unwell = shards.filter((it) => !isWell(it)).map((it) => `shard ${it.shard}: ${stateOf(it)}`);
      if (unwell.length === 0) io.stdout.write(`${shards.length} shards restarted\n`);
      else io.stderr.write(`${unwell.join(', ')}; the broker's log says why\n`);
      return unwell.length === 0 ? 0 : 1;
    }
    await new Promise((resolve) => setTimeout(resolve, RESTART_PERIOD_MS));
  }
}

export const command = defineCommand({
  name: 'cluster',
  summary: 'spread the logins over several brokers behind HAProxy',
  about: `
config prints HAProxy's configuration for the shards of the broker's own; with --write it goes into cluster.proxy.folder,
with the certificate in the form that HAProxy wants, and what was written is named. certificate makes the files of
cluster.proxy.certificate and listener.proxy.ca, for several machines. docs/cluster.md is the manual.`,
  examples: ['iotlab-broker cluster config --shards 4', 'iotlab-broker cluster shard alice --shards 4'],
  does: {
    config: action({
      summary: "print HAProxy's configuration",
      options: {
        shards: shardsOption,
        write: { type: 'boolean', help: 'write it, and what belongs to it, into cluster.proxy.folder' },
      },
      run: ({ values, config }, io) => showConfig(values, config, io),
    }),
    status: action({
      summary: 'list the shards of this machine, and whether they serve',
      run: ({ config }, io) => showStatus(config, io),
    }),
    restart: action({
      summary: 'restart the shards of this machine, one after the other',
      run: ({ config }, io) => restart(config, io),
    }),
    certificate: action({
      summary: 'make what HAProxy shows to brokers on other machines, and its CA',
      run: ({ config }, io) => makeCertificate(config, io),
    }),
    shard: action({
      summary: 'print the number of the shard that a login belongs to',
      arguments: ['LOGIN'],
      options: { shards: shardsOption },
      run: ({ args: [login], values, config }, io) => showShard(login, values, config, io),
    }),
  },
});
