import { stringify } from 'yaml';
import { configFile, loadConfig } from '../config/load.js';
import { configReference } from '../config/reference.js';
import { UsageError } from '../errors.js';
import type { Command, CommandIo } from './command.js';
import { expectArguments, parseOptions } from './options.js';

const help = `
Usage: iotlab-broker config check|show|reference [--config FILE] [--json]

  check      say whether keys and values are fine, or what has to be mended where
  show       print the configuration in use: the defaults and what the file changes
  reference  print every key with its description and its default

  --config FILE  the file; without it IOTLAB_BROKER_CONFIG, else config/broker.yaml of the package, else the defaults
  --json         with show: JSON instead of YAML

Example: iotlab-broker config check --config /etc/iotlab-broker/broker.yaml
`.trimStart();

const actions = ['check', 'show', 'reference'];

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const { values, positionals } = parseOptions('config', args, { json: { type: 'boolean' } });
  expectArguments('config', positionals, [actions.join('|')]);
  const action = positionals[0]!;
  if (!actions.includes(action)) throw new UsageError(`config: "${action}" is none of ${actions.join(', ')}`);
  if (action === 'reference') {
    io.stdout.write(configReference());
    return 0;
  }
  const config = await loadConfig(values.config, io.env);
  const file = configFile(values.config, io.env);
  if (action === 'check')
    io.stdout.write(`${file ?? 'The defaults (there is no file)'}: fine (the files it names are not opened)\n`);
  else if (values.json === true) io.stdout.write(`${JSON.stringify(config, null, 2)}\n`);
  else io.stdout.write(`# ${file ?? 'the defaults: there is no file'}\n${stringify(config, { lineWidth: 0 })}`);
  return 0;
}

export const command: Command = {
  name: 'config',
  summary: 'check or show the configuration, or print its reference',
  help,
  run,
};
