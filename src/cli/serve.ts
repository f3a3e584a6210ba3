import { fileURLToPath } from 'node:url';
import { createBroker } from '../broker.js';
import { systemClock } from '../clock.js';
import { shardConfig } from '../cluster/shard-config.js';
import { answerSupervisor, type Channel } from '../cluster/shard-link.js';
import type { Config } from '../config/config.js';
import { configFile, loadConfig } from '../config/load.js';
import { createLog, type Log } from '../observe/log.js';
import { refuseOtherLayout } from '../store/shard-stores.js';
import { action, type CommandIo } from './command.js';
import { defineCommand } from './define-command.js';
import { type FirstStart, prepareFirstStart, terminalOf, welcomeLines } from './first-start.js';
import { restrainHeapGrowth } from './heap-growth.js';
import { inlineMore } from './inlining.js';
import { shardNumber, shardsOption, withShards } from './shards-option.js';
import { untilSignalled } from './until-signalled.js';

interface Wanted {
  readonly shards?: string | undefined;
  readonly shard?: string | undefined;
}

/** What runs until a signal ends it: one broker, or the supervisor of several. */
interface Service {
  start(): Promise<void>;
  stop(): Promise<void>;
  reload(): Promise<void>;
  /** Where clients connect, once it has started. */
  port(): number;
  /** The same for browsers; null: they cannot. */
  webPort(): number | null;
  readonly stopTimeoutMs: () => number;
  readonly waiting?: () => boolean;
}

async function serve({ shards, shard }: Wanted, file: string | undefined, io: CommandIo): Promise<number> {
  const readConfig = async () => withShards(await loadConfig(file, io.env), shards);
  const config = await readConfig();
  const { cluster, storage } = config;
  const several = shard === undefined && (shards !== undefined || cluster.local > 0);
  const own = shard === undefined ? null : shardNumber(shard, cluster.shards);
  const log = own === null ? createLog(config.log) : createLog(config.log).child({ shard: own });
  const terminal = own === null ? terminalOf(io, config.log) : null;
  const used = configFile(file, io.env);
  if (used === null) log.info('no configuration file: the defaults');
  else if (own === null) log.info({ file: used }, 'configuration');
  let first: FirstStart = { login: null, password: null };
  let told = false;
  try {
    if (storage.url === '') await refuseOtherLayout(storage.path, several || own !== null ? cluster.shards : 1);
    first = await prepareFirstStart(
      own === null ? config : shardConfig(config, cluster.shards, own),
      log,
      terminal !== null,
    );
    const { login, password } = first;
    const service = several
      ? await supervise(config, used, log, io)
      : await oneBroker(config, own, log, io, readConfig);
    const start = async () => {
      await service.start();
      const { host, ca: caFile } = config.listener;
      terminal?.write(
        welcomeLines({ host, port: service.port(), webPort: service.webPort(), caFile, login, password }),
      );
      told = true;
    };
    return await untilSignalled({ ...service, start }, { log, stopTimeoutMs: service.stopTimeoutMs });
  } catch (error) {
    // The only time that anybody reads this password here: a port in use must not swallow it.
    if (first.password !== null && !told) {
      terminal?.write(`Made a first user: login ${first.login}, password ${first.password}\n`);
    }
    // The command line prints one line; whoever is debugging wants the stack too.
    log.debug({ err: error }, 'serve failed');
    throw error;
  }
}

async function oneBroker(
  config: Config,
  shard: number | null,
  log: Log,
  io: CommandIo,
  read: () => Promise<Config>,
): Promise<Service> {
  inlineMore();
  const heap = restrainHeapGrowth();
  const ofShard = (all: Config) => (shard === null ? all : shardConfig(all, all.cluster.shards, shard));
  const readConfig = async () => ofShard(await read());
  const channel = process.send === undefined || shard === null ? null : (process as Channel);
  // Nobody would end it any more.
  channel?.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  let waiting = config.storage.url !== '';
  const broker = await createBroker(ofShard(config), {
    ...{ log, env: io.env, readConfig },
    onStandby: () => channel?.send?.({ kind: 'standby' }),
    onFenced(fault) {
      log.fatal({ code: fault.code }, fault.message);
      process.exit(1);
    },
  });
  return {
    async start() {
      await broker.start();
      waiting = false;
      if (channel !== null) answerSupervisor(channel, broker.admin!);
    },
    async stop() {
      await broker.stop();
      heap.close();
    },
    async reload() {
      // What is wrong with the configuration is in the log.
      await broker.reload().catch(() => {});
    },
    port: () => broker.port,
    webPort: () => broker.webPort,
    stopTimeoutMs: () => (waiting ? config : broker.parts).limits.stopTimeoutMs,
    ...(waiting && { waiting: () => waiting }),
  };
}

async function supervise(config: Config, file: string | null, log: Log, io: CommandIo): Promise<Service> {
  const { Supervisor } = await import('../cluster/supervisor.js');
  const { shards } = config.cluster;
  const main = fileURLToPath(new URL('../main.js', import.meta.url));
  const args = [...process.execArgv, main, 'serve', ...(file === null ? [] : ['--config', file])];
  const supervisor = new Supervisor({
    ...{ config, env: io.env, log, clock: systemClock },
    shardArgs: (shard) => [...args, '--shards', `${shards}`, '--shard', `${shard}`],
  });
  return {
    start: () => supervisor.start(),
    stop: () => supervisor.stop(),
    reload: () => supervisor.reload(),
    port: () => config.listener.port,
    webPort: () => null,
    // It waits for those whose deadline it is.
    stopTimeoutMs: () => 2 * config.limits.stopTimeoutMs,
    // Shards without a database wait until there is one.
    waiting: () => true,
  };
}

export const command = defineCommand({
  name: 'serve',
  summary: 'run the broker',
  about: `
Runs the broker until SIGTERM or SIGINT (Ctrl-C). SIGHUP reads the certificates and the configuration
again (iotlab-broker config reload says what that changes). Where there are none it makes a
development CA, a server certificate and a first user. On a terminal it prints the commands to try it with, and the first
user's password; elsewhere the log names a file that has it.
With --shards it runs so many brokers, each for its shard of the logins, and HAProxy before them; docs/cluster.md.`,
  examples: ['iotlab-broker serve --config /etc/iotlab-broker/broker.yaml', 'iotlab-broker serve --shards 4'],
  does: action({
    options: {
      shards: { ...shardsOption, help: 'run so many brokers and HAProxy, instead of cluster.local' },
      shard: { type: 'string', value: 'I', help: 'run the broker of this one of them, from 0 on, and nothing else' },
    },
    run: ({ values, config }, io) => serve(values, config, io),
  }),
});
