import { createBroker } from '../broker.js';
import { configFile, loadConfig } from '../config/load.js';
import { createLog } from '../observe/log.js';
import { action, type CommandIo } from './command.js';
import { defineCommand } from './define-command.js';
import { type FirstStart, prepareFirstStart, terminalOf, welcomeLines } from './first-start.js';
import { restrainHeapGrowth } from './heap-growth.js';
import { untilSignalled } from './until-signalled.js';

async function serve(file: string | undefined, io: CommandIo): Promise<number> {
  const config = await loadConfig(file, io.env);
  const log = createLog(config.log);
  const terminal = terminalOf(io, config.log);
  const used = configFile(file, io.env);
  if (used === null) log.info('no configuration file: the defaults');
  else log.info({ file: used }, 'configuration');
  const heap = restrainHeapGrowth();
  let first: FirstStart = { login: null, password: null };
  let told = false;
  try {
    first = await prepareFirstStart(config, log, terminal !== null);
    const { login, password } = first;
    const broker = await createBroker(config, { log, env: io.env, readConfig: () => loadConfig(file, io.env) });
    const start = async () => {
      await broker.start();
      const { host, ca: caFile } = config.listener;
      terminal?.write(welcomeLines({ host, port: broker.port, caFile, login, password }));
      told = true;
    };
    const reload = async () => {
      // What is wrong with the configuration is in the log.
      await broker.reload().catch(() => {});
    };
    const service = { start, stop: () => broker.stop(), reload };
    return await untilSignalled(service, { log, stopTimeoutMs: () => broker.parts.limits.stopTimeoutMs });
  } catch (error) {
    // The only time that anybody reads this password here: a port in use must not swallow it.
    if (first.password !== null && !told) {
      terminal?.write(`Made a first user: login ${first.login}, password ${first.password}\n`);
    }
    // The command line prints one line; whoever is debugging wants the stack too.
    log.debug({ err: error }, 'serve failed');
    throw error;
  } finally {
    heap.close();
  }
}

export const command = defineCommand({
  name: 'serve',
  summary: 'run the broker',
  about: `
Runs the broker until SIGTERM or SIGINT (Ctrl-C). SIGHUP reads the certificates and the configuration
again (iotlab-broker config reload says what that changes). Where there are none it makes a
development CA, a server certificate and a first user. On a terminal it prints the commands to try it with, and the first
user's password; elsewhere the log names a file that has it.`,
  examples: ['iotlab-broker serve --config /etc/iotlab-broker/broker.yaml'],
  does: action({ run: ({ config }, io) => serve(config, io) }),
});
