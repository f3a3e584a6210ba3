import { stringify } from 'yaml';
import { configFile, loadConfig } from '../config/load.js';
import { redactValue } from '../config/redact.js';
import { configReference } from '../config/reference.js';
import { jsonText } from '../observe/json-text.js';
import { AdminClient } from './admin-client.js';
import { action, type CommandIo } from './command.js';
import { defineCommand } from './define-command.js';
import { many } from './quantities.js';

async function check(config: string | undefined, io: CommandIo): Promise<number> {
  await loadConfig(config, io.env);
  const file = configFile(config, io.env) ?? 'The defaults (there is no file)';
  io.stdout.write(`${file}: fine (the files it names are not opened)\n`);
  return 0;
}

async function show(json: boolean, config: string | undefined, io: CommandIo): Promise<number> {
  const settings = redactValue(await loadConfig(config, io.env));
  const file = configFile(config, io.env);
  if (json) io.stdout.write(`${jsonText(settings, 2)}\n`);
  else io.stdout.write(`# ${file ?? 'the defaults: there is no file'}\n${stringify(settings, { lineWidth: 0 })}`);
  return 0;
}

interface Reloaded {
  readonly applied: readonly string[];
  readonly needsRestart: readonly string[];
  readonly users: number;
  readonly subscriptionsEnded: number;
  readonly messagesDropped: number;
}

/** The running broker reads the file that it was started with. */
async function reload(dryRun: boolean, json: boolean, config: string | undefined, io: CommandIo): Promise<number> {
  const client = await AdminClient.of(config, io);
  const outcome = await client.send<Reloaded>('POST', `/config/reload${dryRun ? '?dryRun=1' : ''}`);
  if (json) io.stdout.write(`${jsonText(outcome, 2)}\n`);
  else io.stdout.write(inWords(outcome, dryRun));
  return 0;
}

function inWords({ applied, needsRestart, subscriptionsEnded, messagesDropped }: Reloaded, dryRun: boolean): string {
  const lines: string[] = [];
  if (applied.length > 0) lines.push(`${dryRun ? 'would be in force' : 'in force now'}: ${applied.join(', ')}`);
  if (needsRestart.length > 0) lines.push(`needs a restart: ${needsRestart.join(', ')}`);
  if (lines.length === 0) lines.push('nothing is different from what is in force');
  const rules = dryRun ? 'the rules would deny them' : 'the rules deny them now';
  if (subscriptionsEnded > 0) {
    lines.push(`${many(subscriptionsEnded, 'subscription')} ${dryRun ? 'would end' : 'ended'}: ${rules}`);
  }
  if (messagesDropped > 0) {
    const wait = dryRun ? `wait${messagesDropped === 1 ? 's' : ''}` : 'waited';
    const were = dryRun ? 'would be' : messagesDropped === 1 ? 'was' : 'were';
    lines.push(`${many(messagesDropped, 'message')} that ${wait} for them ${were} dropped`);
  }
  return lines.map((line) => `${line}\n`).join('');
}

export const command = defineCommand({
  name: 'config',
  summary: 'check, show or reload the configuration, or print its reference',
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
    reload: action({
      summary:
        'have the running broker take over what has changed, all of it or nothing, without disconnecting anybody',
      options: {
        'dry-run': { type: 'boolean', help: 'only say what would change' },
        json: { type: 'boolean', help: 'JSON instead of lines' },
      },
      run: ({ values, config }, io) => reload(values['dry-run'] === true, values.json === true, config, io),
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
