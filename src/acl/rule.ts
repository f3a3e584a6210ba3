import type { AclRuleConfig } from '../config/config.js';
import { UsageError } from '../errors.js';
import { whyNotARuleTopic } from '../mqtt/rule-topic.js';
import { isValidTopicFilter, parseShare, topicMatchesFilter } from '../mqtt/topics.js';
import { filterCovers } from './cover.js';

export interface AclDecision {
  readonly allowed: boolean;
  /** The rule that granted it, as in the configuration (`readwrite iotlab/%u/#`); null when none did. */
  readonly rule: string | null;
}

/** One configured rule. */
export interface Rule {
  readonly read: boolean;
  readonly write: boolean;
  /** The rule with `%u` filled in; null when the login cannot stand in a topic level, so that it grants nothing. */
  forLogin(login: string): LoginRule | null;
}

/** One rule of one login. */
export interface LoginRule {
  /** The decision to hand out when this rule grants: made once. */
  readonly granted: AclDecision;
  matches(topic: string): boolean;
  covers(filter: string): boolean;
}

const placeholder = '%u';

/** Throws `UsageError` when the rule's topic is not a filter that a rule may have. */
export function compileRule(config: AclRuleConfig): Rule {
  const why = whyNotARuleTopic(config.topic);
  if (why !== null) throw new UsageError(`acl: the topic ${JSON.stringify(config.topic)} ${why}`);
  const { topic } = config;
  const granted: AclDecision = Object.freeze({ allowed: true, rule: `${config.access} ${topic}` });
  return {
    read: config.access !== 'write',
    write: config.access !== 'read',
    forLogin(login) {
      if (!topic.includes(placeholder)) return loginRule(topic, granted);
      if (!canStandInALevel(login)) return null;
      // A function, because `$&` and the like in a replacement string have a meaning of their own.
      const filter = topic.replaceAll(placeholder, () => login);
      return isValidTopicFilter(filter) ? loginRule(filter, granted) : null;
    },
  };
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
  return { granted, covers, matches: matcher(rule) };
}

/** The default rule, `iotlab/<login>/#`, is one comparison of memory; so are rules without wildcards. */
function matcher(rule: string): (topic: string) => boolean {
  const parent = rule.endsWith('/#') ? rule.slice(0, -2) : rule;
  if (parent.includes('+') || parent.includes('#')) return (topic) => topicMatchesFilter(topic, rule);
  if (parent === rule) return (topic) => topic === rule;
  const { length } = parent;
  return (topic) => topic.startsWith(parent) && (topic.length === length || topic.charCodeAt(length) === 0x2f);
}
