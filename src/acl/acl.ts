import type { AclRuleConfig } from '../config/config.js';
import { type AclDecision, compileRule, type LoginRule, type Rule } from './rule.js';

/** Who may publish and subscribe where. Pure and synchronous: the same question always gets the same answer. */
export interface Acl {
  /** The rules with `%u` filled in. Make it once per connection and keep it. */
  forLogin(login: string): UserAcl;
}

/** What one login may do. Deciding allocates nothing (`subscribe` may, for shared subscriptions). */
export interface UserAcl {
  /** May the user publish to this topic name? */
  publish(topic: string): AclDecision;
  /**
   * May the user subscribe to this filter? Only if one single rule grants every topic that the filter can match.
   * `$share/<group>/<filter>` is judged by its filter; a filter that is not valid is denied.
   */
  subscribe(filter: string): AclDecision;
  /** May the user be given a message with this topic name, wherever it was kept? */
  deliver(topic: string): AclDecision;
}

const denied: AclDecision = Object.freeze({ allowed: false, rule: null });

/** Compiles the configured rules. Throws `UsageError` naming the rule when one is not a topic filter. */
export function compileAcl(rules: readonly AclRuleConfig[]): Acl {
  const compiled = rules.map(compileRule);
  const writable = compiled.filter((rule) => rule.write);
  const readable = compiled.filter((rule) => rule.read);
  return {
    forLogin(login) {
      const write = bind(writable, login);
      const read = bind(readable, login);
      return {
        publish: (topic) => decide(write, topic),
        subscribe: (filter) => decideFilter(read, filter),
        deliver: (topic) => decide(read, topic),
      };
    },
  };
}

function bind(rules: readonly Rule[], login: string): readonly LoginRule[] {
  return rules.map((rule) => rule.forLogin(login)).filter((rule) => rule !== null);
}

function decide(rules: readonly LoginRule[], topic: string): AclDecision {
  for (let i = 0; i < rules.length; i += 1) {
    const rule = rules[i] as LoginRule;
    if (rule.matches(topic)) return rule.granted;
  }
  return denied;
}

function decideFilter(rules: readonly LoginRule[], filter: string): AclDecision {
  for (const rule of rules) if (rule.covers(filter)) return rule.granted;
  return denied;
}
