import { compileAcl, type UserAcl } from '../acl/acl.js';
import { bracketHint } from '../acl/hint.js';
import { loadConfig } from '../config/load.js';
import { createLoginRule } from '../credentials/login.js';
import { UsageError } from '../errors.js';
import { isValidTopicFilter, isValidTopicName } from '../mqtt/topics.js';
import type { Command, CommandIo } from './command.js';
import { expectArguments, parseOptions } from './options.js';

const help = `
Usage: iotlab-broker acl explain LOGIN read|write TOPIC [--config FILE]

Says whether a login may subscribe to a topic or filter (read) or publish to a topic (write), and which rule says so.
The exit code is 0 either way. Quote the topic: # and < mean something to the shell.

  --config FILE  the configuration with the rules

Example: iotlab-broker acl explain alice read 'iotlab/alice/#'
`.trimStart();

async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const { values, positionals } = parseOptions('acl', args, {});
  expectArguments('acl', positionals, ['explain', 'LOGIN', 'read|write', 'TOPIC']);
  const [action, login, access, topic] = positionals as [string, string, string, string];
  if (action !== 'explain') throw new UsageError(`acl: "${action}" is not "explain"`);
  if (access !== 'read' && access !== 'write') throw new UsageError(`acl: "${access}" is neither "read" nor "write"`);
  const config = await loadConfig(values.config, io.env);
  const user = compileAcl(config.acl).forLogin(login);
  const lines = [verdict(user, login, access, topic)];
  const hint = bracketHint(login, topic);
  if (hint !== null) lines.push(`hint: ${hint}`);
  if (!createLoginRule(config.credentials.loginPattern)(login)) {
    lines.push(`note: ${JSON.stringify(login)} cannot log in: it does not match credentials.loginPattern`);
  }
  io.stdout.write(`${lines.join('\n')}\n`);
  return 0;
}

function verdict(user: UserAcl, login: string, access: 'read' | 'write', topic: string): string {
  const question = `${login} ${access} ${topic}`;
  const valid = access === 'read' ? isValidTopicFilter(topic) : isValidTopicName(topic);
  if (!valid) return `deny  ${question}  (not a valid ${access === 'read' ? 'topic filter' : 'topic to publish to'})`;
  const { allowed, rule } = access === 'read' ? user.subscribe(topic) : user.publish(topic);
  return allowed ? `allow  ${question}  (rule: ${rule})` : `deny  ${question}  (no rule grants it)`;
}

export const command: Command = {
  name: 'acl',
  summary: 'explain what a login may read and write, and by which rule',
  help,
  run,
};
