import { compileAcl, type UserAcl } from '../acl/acl.js';
import { bracketHint } from '../acl/hint.js';
import { loadConfig } from '../config/load.js';
import { createLoginRule } from '../credentials/login.js';
import { isValidTopicFilter, isValidTopicName } from '../mqtt/topics.js';
import { action, type CommandIo } from './command.js';
import { defineCommand } from './define-command.js';

interface Question {
  readonly login: string;
  readonly access: 'read' | 'write';
  readonly topic: string;
}

async function explain({ login, access, topic }: Question, file: string | undefined, io: CommandIo): Promise<number> {
  const config = await loadConfig(file, io.env);
  const user = compileAcl(config.acl).forLogin(login);
  const lines = [verdict(user, { login, access, topic })];
  const hint = bracketHint(login, topic);
  if (hint !== null) lines.push(`hint: ${hint}`);
  if (!createLoginRule(config.credentials.loginPattern)(login)) {
    lines.push(`note: ${JSON.stringify(login)} cannot log in: it does not match credentials.loginPattern`);
  }
  io.stdout.write(`${lines.join('\n')}\n`);
  return 0;
}

function verdict(user: UserAcl, { login, access, topic }: Question): string {
  const question = `${login} ${access} ${topic}`;
  const valid = access === 'read' ? isValidTopicFilter(topic) : isValidTopicName(topic);
  if (!valid) return `deny  ${question}  (not a valid ${access === 'read' ? 'topic filter' : 'topic to publish to'})`;
  const { allowed, rule } = access === 'read' ? user.subscribe(topic) : user.publish(topic);
  return allowed ? `allow  ${question}  (rule: ${rule})` : `deny  ${question}  (no rule grants it)`;
}

export const command = defineCommand({
  name: 'acl',
  summary: 'explain what a login may read and write, and by which rule',
  about: `
Says whether a login may subscribe to a topic or filter (read) or publish to a topic (write), and which rule says so.
The exit code is 0 either way. Quote the topic: # and < mean something to the shell.`,
  examples: ["iotlab-broker acl explain alice read 'iotlab/alice/#'"],
  does: {
    explain: action({
      arguments: ['LOGIN', 'read|write', 'TOPIC'],
      run: ({ args: [login, access, topic], config }, io) => explain({ login, access, topic }, config, io),
    }),
  },
});
