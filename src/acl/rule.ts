import type { AclRuleConfig } from '../config/config.js';
import { UsageError } from '../errors.js';
import { whyNotARuleTopic } from '../mqtt/rule-topic.js';
import { isValidTopicFilter, parseShare, topicMatchesFilter } from '../mqtt/topics.js';
import { filterCovers } from './cover.js';
import { compileNamed, type Person } from './people.js';

export interface AclDecision {
  readonly allowed: boolean;
  /** The rule that granted it, as in the configuration (`readwrite iotlab/%u/#`); null when none did. */
  readonly rule: string | null;
}

/** One configured rule. */
export interface Rule {
  /** `read iotlab/+/# (groups: teachers)` */
  readonly text: string;
  readonly read: boolean;
  readonly write: boolean;
  /** Is it for this person: one of its users, or a member of one of its groups? A rule that names nobody is for all. */
  isFor(person: Person): boolean;
  /** Its topic has the login in it. */
  readonly personal: boolean;
  /** The rule with `%u` filled in; null when the login cannot stand in a topic level, so that it grants nothing. */
  forLogin(login: string): LoginRule | null;
}

/** One rule of one login. */
export interface LoginRule {
  /** The decision to hand out when this rule grants: made once. */
  readonly granted: AclDecision;
  /** The topic filter, with the login in it. */
  readonly filter: string;
  matches(topic: string): boolean;
  covers(filter: string): boolean;
}

const placeholder = '%u';

/** Throws `UsageError` when the rule's topic is not a filter that a rule may have. */
export function compileRule(config: AclRuleConfig): Rule {
  const { topic } = config;
  const why = whyNotARuleTopic(topic);
  if (why !== null) throw new UsageError(`acl: the topic ${JSON.stringify(topic)} ${why}`);
  const text = `${config.access} ${topic}${namesOf(config)}`;
  const granted: AclDecision = Object.freeze({ allowed: true, rule: text });
  return {
    text,
    read: config.access !== 'write',
    write: config.access !== 'read',
    isFor: compileNamed(config),
    personal: topic.includes(placeholder),
    forLogin(login) {
      if (!topic.includes(placeholder)) return loginRule(topic, granted);
      if (!canStandInALevel(login)) return null;
      // A function, because `$&` and the like in a replacement string have a meaning of their own.
      const filter = topic.replaceAll(placeholder, () => login);
      return isValidTopicFilter(filter) ? loginRule(filter, granted) : null;
    },
  };
}

/** Whom a rule names, for people: ` (users: robot; groups: teachers, assistants)`. Nobody in particular: nothing. */
function namesOf({ users, groups }: AclRuleConfig): string {
  const parts: string[] = [];
  if (users !== undefined) parts.push(`users: ${users.join(', ')}`);
  if (groups !== undefined) parts.push(`groups: ${groups.join(', ')}`);
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`;
}

/**
 * The credentials' pattern keeps such logins out already. Here is the second lock: a login `+` or `a/#` must not turn
 * a rule into one for everybody's topics.
 */
function canStandInALevel(login: string): boolean {
  return login !== '' && !/[/+#\0]/.test(login) && !login.startsWith('$');
}

function loginRule(filter: string, granted: AclDecision): LoginRule {
  // `+/#` and `#` match the same topics, but only the shorter one is seen to cover a subscription to `#`.
  const rule = filter === '+/#' ? '#' : filter;
  const covers = (asked: string) => {
    if (!isValidTopicFilter(asked)) return false;
    return filterCovers(rule, asked.startsWith('$share/') ? (parseShare(asked)?.filter ?? '') : asked);
  };
  return { granted, filter: rule, covers, matches: matcher(rule) };
}

/** The default rule, `iotlab/<login>/#`, is one comparison of memory; so are rules without wildcards. */
function matcher(rule: string): (topic: string) => boolean {
  const parent = rule.endsWith('/#') ? rule.slice(0, -2) : rule;
  if (parent.includes('+') || parent.includes('#')) return (topic) => topicMatchesFilter(topic, rule);
  if (parent === rule) return (topic) => topic === rule;
  const { length } = parent;
  return (topic) => topic.startsWith(parent) && (topic.length === length || topic.charCodeAt(length) === 0x2f);
}
