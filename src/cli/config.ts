import { stringify } from 'yaml';
import { configFile, loadConfig } from '../config/load.js';
import { redactValue } from '../config/redact.js';
import { configReference } from '../config/reference.js';
import { action, type CommandIo } from './command.js';
import { defineCommand } from './define-command.js';

async function check(config: string | undefined, io: CommandIo): Promise<number> {
  await loadConfig(config, io.env);
  const file = configFile(config, io.env) ?? 'The defaults (there is no file)';
  io.stdout.write(`${file}: fine (the files it names are not opened)\n`);
  return 0;
}

async function show(json: boolean, config: string | undefined, io: CommandIo): Promise<number> {
  const settings = redactValue(await loadConfig(config, io.env));
  const file = configFile(config, io.env);
  if (json) io.stdout.write(`${JSON.stringify(settings, null, 2)}\n`);
  else io.stdout.write(`# ${file ?? 'the defaults: there is no file'}\n${stringify(settings, { lineWidth: 0 })}`);
  return 0;
}

export const command = defineCommand({
  name: 'config',
  summary: 'check or show the configuration, or print its reference',
  about: 'What each key means, its default and what it accepts is in the reference.',
  examples: ['iotlab-broker config check --config /etc/iotlab-broker/broker.yaml'],
  does: {
    check: action({
      summary: 'say whether keys and values are fine, or what has to be mended where',
      run: ({ config }, io) => check(config, io),
    }),
    show: action({
      summary: 'print the configuration in use: the defaults and what the file changes',
      options: { json: { type: 'boolean', help: 'JSON instead of YAML' } },
      run: ({ values, config }, io) => show(values.json === true, config, io),
    }),
    reference: action({
      summary: 'print every key with its description and its default',
      run: async (_, io) => {
        io.stdout.write(configReference());
        return 0;
      },
    }),
  },
});
