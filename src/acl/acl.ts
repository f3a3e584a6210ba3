import type { AclRuleConfig, GroupConfig } from '../config/config.js';
import { UsageError } from '../errors.js';
import { reachInto, unnamedReach, userTrees } from '../mqtt/user-trees.js';
import { Membership, type Person } from './people.js';
import { type AclDecision, compileRule, type LoginRule, type Rule } from './rule.js';

/** Who may publish and subscribe where. Pure and synchronous: the same question always gets the same answer. */
export interface Acl {
  readonly rules: readonly Rule[];
  /** Those that rules name. */
  readonly groups: readonly string[];
  /**
   * The rules that are for this login, with `%u` filled in. `groups` are those that the credential backend knows of; the
   * configured ones are added. Make it once and keep it until one of these changes.
   */
  forLogin(login: string, groups?: readonly string[]): UserAcl;
  /** The login with all of its groups. */
  person(login: string, groups?: readonly string[]): Person;
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
  /** The filters that are granted, for reading and for writing: two users of the same have the same answers. */
  readonly grants: string;
  /** The first place that is the user's to read and write as a whole, with a slash behind it; null: the rules name none. */
  readonly home: string | null;
}

const denied: AclDecision = Object.freeze({ allowed: false, rule: null });

/**
 * Compiles the configured rules. Throws `UsageError` naming the rule when one is not a topic filter, or reaches into the
 * trees of others without saying so.
 */
export function compileAcl(rules: readonly AclRuleConfig[], groups: readonly GroupConfig[] = []): Acl {
  const compiled = rules.map(compileRule);
  assertNamed(rules);
  const members = new Membership(groups);
  return {
    rules: compiled,
    groups: rules.flatMap((rule) => rule.groups ?? []),
    person: (login, told) => members.person(login, told),
    forLogin(login, more) {
      const who = members.person(login, more);
      const mine = compiled.filter((rule) => rule.isFor(who));
      const write = bind(
        mine.filter((rule) => rule.write),
        login,
      );
      const read = bind(
        mine.filter((rule) => rule.read),
        login,
      );
      return {
        publish: (topic) => decide(write, topic),
        subscribe: (filter) => decideFilter(read, filter),
        deliver: (topic) => decide(read, topic),
        grants: JSON.stringify([filtersOf(write), filtersOf(read)]),
        home: homeIn(
          bind(
            mine.filter((rule) => rule.read && rule.write && rule.personal),
            login,
          ),
        ),
      };
    },
  };
}

function assertNamed(rules: readonly AclRuleConfig[]): void {
  for (const tree of userTrees(rules)) {
    const silent = rules.find((rule) => reachInto(tree, rule) === 'unnamed');
    if (silent !== undefined)
      throw new UsageError(`acl: ${JSON.stringify(silent.topic)} ${unnamedReach(tree, silent)}`);
  }
}

function bind(rules: readonly Rule[], login: string): readonly LoginRule[] {
  return rules.map((rule) => rule.forLogin(login)).filter((rule) => rule !== null);
}

const filtersOf = (rules: readonly LoginRule[]): string[] => [...new Set(rules.map(({ filter }) => filter))].sort();
function homeIn(rules: readonly LoginRule[]): string | null {
  const rule = rules.find(({ filter }) => filter.endsWith('/#') && !/[+#]/.test(filter.slice(0, -1)));
  return rule === undefined ? null : rule.filter.slice(0, -1);
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
