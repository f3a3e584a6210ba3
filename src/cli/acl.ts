import { type Acl, compileAcl, type UserAcl } from '../acl/acl.js';
import { explain as explainRules, type RuleOpinion } from '../acl/explain.js';
import { bracketHint, denialText } from '../acl/hint.js';
import { systemClock } from '../clock.js';
import type { Config } from '../config/config.js';
import { loadConfig } from '../config/load.js';
import { createLoginRule } from '../credentials/login.js';
import { openBackend } from '../credentials/open-backend.js';
import { Fault, UsageError } from '../errors.js';
import { isValidTopicFilter, isValidTopicName } from '../mqtt/topics.js';
import { jsonText } from '../observe/json-text.js';
import { createLog } from '../observe/log.js';
import { action, type CommandIo } from './command.js';
import { defineCommand } from './define-command.js';

interface Question {
  readonly login: string;
  readonly access: 'read' | 'write';
  readonly topic: string;
}

async function explain(
  question: Question,
  { supposed, json }: { readonly supposed: readonly string[] | null; readonly json: boolean },
  file: string | undefined,
  io: CommandIo,
): Promise<number> {
  const { login, access, topic } = question;
  const config = await loadConfig(file, io.env);
  const acl = compileAcl(config.acl, config.groups);
  const valid = access === 'read' ? isValidTopicFilter(topic) : isValidTopicName(topic);
  let found: Found = { groups: supposed ?? [], note: null };
  const canLogIn = createLoginRule(config.credentials.loginPattern)(login);
  if (valid && supposed === null && canLogIn) {
    found = await whatIsKnown(login, turnsOnGroups(acl, question), config, io.env);
  }
  const { note } = found;
  const own = acl.forLogin(login, found.groups);
  const lines = [verdict(own, valid, question)];
  const rules: object[] = [];
  if (valid) {
    const opinions = explainRules(acl, acl.person(login, found.groups), access, topic);
    const known = supposed === null ? `as the ${config.credentials.backend} backend says` : 'as supposed';
    const source = (group: string) => (acl.person(login).groups.has(group) ? 'as groups says' : known);
    lines.push(...reasons(opinions, source));
    rules.push(...opinions.map(({ place, rule, grants, why }) => ({ place, rule, grants, why })));
  }
  const decision = access === 'read' ? own.subscribe(topic) : own.publish(topic);
  const readsThere = valid && access === 'write' && !decision.allowed && own.deliver(topic).allowed;
  const hint = readsThere ? denialText(login, topic, true) : bracketHint(login, topic);
  const notes = note === null ? [] : [note];
  if (!canLogIn) notes.push(`${JSON.stringify(login)} cannot log in: it does not match credentials.loginPattern`);
  if (json) {
    const { allowed, rule } = valid ? decision : { allowed: false, rule: null };
    io.stdout.write(`${jsonText({ login, access, topic, valid, allowed, rule, reasons: rules, hint, notes }, 2)}\n`);
    return 0;
  }
  if (hint !== null) lines.push(`hint: ${hint}`);
  lines.push(...notes.map((each) => `note: ${each}`));
  io.stdout.write(`${lines.join('\n')}\n`);
  return 0;
}

interface Found {
  readonly groups: readonly string[];
  readonly note: string | null;
}

/** Would it be granted to a member of more groups than the configuration knows of? */
function turnsOnGroups(acl: Acl, { login, access, topic }: Question): boolean {
  const granted = ({ subscribe, publish }: UserAcl) => (access === 'read' ? subscribe(topic) : publish(topic)).allowed;
  return !granted(acl.forLogin(login)) && granted(acl.forLogin(login, acl.groups));
}

/** What the credential backend knows, without the password. That it cannot be asked matters where it turns on groups. */
async function whatIsKnown(
  login: string,
  needsGroups: boolean,
  { credentials }: Config,
  env: NodeJS.ProcessEnv,
): Promise<Found> {
  const unknown = (why: string): Found => ({
    groups: [],
    note: !needsGroups ? null : `what else ${login} belongs to is not known (${why}); suppose a group with --group`,
  });
  const log = createLog({ level: 'silent', format: 'json' });
  let close = async () => {};
  try {
    const backend = await openBackend(credentials, { log, clock: systemClock, env });
    close = () => backend.close();
    const signal = AbortSignal.timeout(credentials.timeoutMs);
    const looked = await backend.lookUp?.(login, signal);
    const groups = looked?.groups ?? (needsGroups ? await backend.groupsOf?.(login, signal) : null);
    const note =
      looked?.exists === false
        ? `there is no ${login}, as the ${credentials.backend} backend says: nobody could log in with it`
        : null;
    return { groups: groups ?? [], note };
  } catch (error) {
    if (error instanceof UsageError || error instanceof Fault) return unknown(error.message);
    throw error;
  } finally {
    await close();
  }
}

function verdict(user: UserAcl, valid: boolean, { login, access, topic }: Question): string {
  const question = `${login} ${access} ${topic}`;
  if (!valid) return `deny  ${question}  (not a valid ${access === 'read' ? 'topic filter' : 'topic to publish to'})`;
  const { allowed, rule } = access === 'read' ? user.subscribe(topic) : user.publish(topic);
  return allowed ? `allow  ${question}  (rule: ${rule})` : `deny  ${question}  (no rule grants it)`;
}

/** The rule that grants it; or of those that do not, each that has to do with the topic. */
function reasons(opinions: readonly RuleOpinion[], source: (group: string) => string): string[] {
  const granting = opinions.find(({ grants }) => grants);
  if (granting !== undefined) {
    const { place, rule, why, through } = granting;
    return [`  ${place} ${rule}: ${why}${through === null ? '' : ` (${source(through)})`}`];
  }
  return opinions.filter(({ concerns }) => concerns).map(({ place, rule, why }) => `  ${place} ${rule}: ${why}`);
}

export const command = defineCommand({
  name: 'acl',
  summary: 'explain what a login may read and write, and by which rule',
  about: `
Says whether a login may subscribe to a topic or filter (read) or publish to a topic (write), which rule says so, and
why; or why the rules that have to do with the topic do not grant it. Groups are those of the configuration and of the
users file or directory, which is asked without the password. The exit code is 0 either way. Quote the topic: # and <
mean something to the shell.`,
  examples: ["iotlab-broker acl explain alice read 'iotlab/alice/#'"],
  does: {
    explain: action({
      arguments: ['LOGIN', 'read|write', 'TOPIC'],
      options: {
        group: {
          type: 'string',
          multiple: true,
          value: 'NAME',
          help: 'suppose that the login is in this group, and ask nobody',
        },
        json: { type: 'boolean', help: 'JSON, with what every rule says of it' },
      },
      run: ({ args: [login, access, topic], values, config }, io) =>
        explain({ login, access, topic }, { supposed: values.group ?? null, json: values.json === true }, config, io),
    }),
  },
});
