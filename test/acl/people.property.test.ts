import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Acl, compileAcl } from '../../src/acl/acl.js';
import { explain } from '../../src/acl/explain.js';
import type { AclRuleConfig, GroupConfig } from '../../src/config/config.js';
import { UsageError } from '../../src/errors.js';
import { isValidTopicFilter, isValidTopicName } from '../../src/mqtt/topics.js';

// Few names and few words, so that rules, people and topics meet often.
const login = fc.constantFrom('alice', 'bob', 'carol');
const group = fc.constantFrom('teachers', 'Teachers', 'students', 'lab');
const some = <T>(one: fc.Arbitrary<T>) => fc.uniqueArray(one, { minLength: 1, maxLength: 2 });
const word = fc.constantFrom('iotlab', 'course', 'alice', 'bob', 'x', '$S', '');
const levels = { minLength: 1, maxLength: 4 };
const topicOf = (parts: string[]) => parts.join('/');
const topicArb = fc
  .oneof(
    fc.array(word, levels).map(topicOf),
    fc.tuple(login, fc.array(word, { maxLength: 2 })).map(([of, below]) => topicOf(['iotlab', of, ...below])),
  )
  .filter(isValidTopicName);
const filterArb = fc
  .tuple(
    fc.oneof(fc.constant([]), fc.constant(['iotlab'])),
    fc.array(fc.oneof(word, fc.constant('+')), { maxLength: 3 }),
    fc.boolean(),
  )
  .map(([above, parts, open]) => [...above, ...parts, ...(open ? ['#'] : [])].join('/'))
  .filter(isValidTopicFilter);
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const ruleArb: fc.Arbitrary<AclRuleConfig> = fc
  .tuple(
    fc.constantFrom('read' as const, 'write' as const, 'readwrite' as const),
    fc.oneof(filterArb, fc.constant('iotlab/%u/#'), fc.constant('course/%u/+'), fc.constant('iotlab/+/#')),
    maybe(some(login)),
    maybe(some(group)),
  )
  .map(([access, topic, users, groups]) => ({ access, topic, ...(users && { users }), ...(groups && { groups }) }));
const rulesArb = fc.array(ruleArb, { minLength: 1, maxLength: 5 });
const groupsArb: fc.Arbitrary<GroupConfig[]> = fc.uniqueArray(
  fc.record({ name: fc.constantFrom('teachers', 'students', 'lab'), users: fc.uniqueArray(login, { maxLength: 3 }) }),
  { selector: ({ name }) => name },
);

/** The standard, word for word and level by level. */
function matches(topic: readonly string[], filter: readonly string[], first = true): boolean {
  if (filter.length === 0) return topic.length === 0;
  if (first && topic[0]!.startsWith('$') && (filter[0] === '#' || filter[0] === '+')) return false;
  if (filter[0] === '#') return true;
  if (topic.length === 0) return false;
  return (filter[0] === '+' || filter[0] === topic[0]) && matches(topic.slice(1), filter.slice(1), false);
}

interface Who {
  readonly login: string;
  /** What the backend says. */
  readonly told: readonly string[];
}

/** The documentation, word for word: no compiling, no remembering. */
class Naive {
  readonly #rules: readonly AclRuleConfig[];
  readonly #groups: readonly GroupConfig[];

  constructor(rules: readonly AclRuleConfig[], groups: readonly GroupConfig[]) {
    this.#rules = rules;
    this.#groups = groups;
  }

  may(who: Who, access: 'read' | 'write', topic: string): boolean {
    return this.#rules.some((rule) => this.#grants(rule, who, access, topic));
  }

  /** One rule alone has to grant all of these. */
  mayAll(who: Who, topics: readonly string[]): boolean {
    return this.#rules.some((rule) => topics.every((topic) => this.#grants(rule, who, 'read', topic)));
  }

  #grants(rule: AclRuleConfig, who: Who, access: 'read' | 'write', topic: string): boolean {
    if (rule.access !== access && rule.access !== 'readwrite') return false;
    const named = rule.users?.includes(who.login) ?? false;
    const belongs = rule.groups?.some((name) => this.#isIn(who, name)) ?? false;
    if ((rule.users !== undefined || rule.groups !== undefined) && !named && !belongs) return false;
    return matches(topic.split('/'), rule.topic.replaceAll('%u', who.login).split('/'));
  }

  #isIn({ login: name, told }: Who, wanted: string): boolean {
    const same = (a: string) => a.toLowerCase() === wanted.toLowerCase();
    return told.some(same) || this.#groups.some((each) => same(each.name) && each.users.includes(name));
  }
}

/** Null for rules that reach into trees without saying so, which nobody gets compiled. */
function compiled(rules: readonly AclRuleConfig[], groups: readonly GroupConfig[]): Acl | null {
  try {
    return compileAcl(rules, groups);
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    assert.match(error.message, /reaches into the trees? of /);
    return null;
  }
}

test('users, groups, topics and actions: 10 000 random cases are decided as a naive model decides them', () => {
  const seen = { allowed: 0, denied: 0, refused: 0 };
  fc.assert(
    fc.property(
      rulesArb,
      groupsArb,
      fc.record({ login, told: fc.uniqueArray(group, { maxLength: 2 }) }),
      topicArb,
      (rules, groups, who, topic) => {
        const acl = compiled(rules, groups);
        if (acl === null) {
          seen.refused += 1;
          return;
        }
        const model = new Naive(rules, groups);
        const user = acl.forLogin(who.login, who.told);
        for (const [access, decision] of [
          ['write', user.publish(topic)],
          ['read', user.deliver(topic)],
        ] as const) {
          assert.equal(decision.allowed, model.may(who, access, topic), `${who.login} ${access} ${topic}`);
          seen[decision.allowed ? 'allowed' : 'denied'] += 1;
        }
      },
    ),
    { numRuns: 10_000 },
  );
  assert.ok(Math.min(seen.allowed, seen.denied, seen.refused) > 500, JSON.stringify(seen));
});

test('a subscription is granted to whom one rule grants all of a telling set of its topics', () => {
  const seen = { granted: 0, denied: 0 };
  fc.assert(
    fc.property(
      rulesArb,
      groupsArb,
      fc.record({ login, told: fc.uniqueArray(group, { maxLength: 2 }) }),
      filterArb,
      (rules, groups, who, filter) => {
        const acl = compiled(rules, groups);
        // It would match the empty topic, which no message has.
        if (acl === null || filter === '/#') return;
        const parts = filter.split('/');
        const open = parts.at(-1) === '#';
        if (open) parts.pop();
        // A word that no rule holds stands for "anything": the rule that matches it has wildcards there.
        const filled = parts.map((part) => (part === '+' ? 'anything' : part));
        const tails = open ? [[], ['anything'], ['anything', 'else'], ['', '', '', '', '', '']] : [[]];
        const telling = tails.map((tail) => [...filled, ...tail].join('/')).filter(isValidTopicName);
        const { allowed } = acl.forLogin(who.login, who.told).subscribe(filter);
        assert.equal(allowed, new Naive(rules, groups).mayAll(who, telling), `${who.login} ${filter}`);
        seen[allowed ? 'granted' : 'denied'] += 1;
      },
    ),
    { numRuns: 10_000 },
  );
  assert.ok(Math.min(seen.granted, seen.denied) > 500, JSON.stringify(seen));
});

test('what is explained is what is decided', () => {
  fc.assert(
    fc.property(
      rulesArb,
      groupsArb,
      fc.record({ login, told: fc.uniqueArray(group, { maxLength: 2 }) }),
      fc.oneof(topicArb, filterArb),
      (rules, groups, who, asked) => {
        const acl = compiled(rules, groups);
        if (acl === null) return;
        const user = acl.forLogin(who.login, who.told);
        const person = acl.person(who.login, who.told);
        const reading = explain(acl, person, 'read', asked).find(({ grants }) => grants);
        assert.equal(reading?.rule ?? null, user.subscribe(asked).rule);
        if (!isValidTopicName(asked)) return;
        const writing = explain(acl, person, 'write', asked).find(({ grants }) => grants);
        assert.equal(writing?.rule ?? null, user.publish(asked).rule);
      },
    ),
    { numRuns: 5_000 },
  );
});

test("nobody's tree is readable or writable by a rule unless the rule writes out what is above it", () => {
  const seen = { reached: 0, refused: 0 };
  const foreign = fc.array(word, { maxLength: 2 }).map((below) => topicOf(['iotlab', 'bob', ...below]));
  fc.assert(
    fc.property(fc.array(ruleArb, { maxLength: 4 }), foreign, (others, topic) => {
      // `course/%u/+` would make trees as well, and so would `x/iotlab/bob` for bob.
      const rules = others.filter(
        ({ topic, users = [] }) =>
          !topic.startsWith('course/%u') && !topic.split('/').some((level) => users.includes(level)),
      );
      const acl = compiled([{ access: 'readwrite', topic: 'iotlab/%u/#' }, ...rules], []);
      if (acl === null) {
        seen.refused += 1;
        assert.ok(
          rules.some((rule) => /^(#$|\+\/)/.test(rule.topic)),
          JSON.stringify(rules),
        );
        return;
      }
      const user = acl.forLogin('alice', ['teachers', 'students', 'lab']);
      for (const { allowed, rule } of [user.deliver(topic), user.publish(topic)]) {
        if (!allowed) continue;
        seen.reached += 1;
        assert.match(rule!, /^(read|write|readwrite) iotlab\//);
      }
    }),
    { numRuns: 10_000 },
  );
  assert.ok(Math.min(seen.reached, seen.refused) > 300, JSON.stringify(seen));
});

test('with any rules, nobody gets into the tree of another but by a rule that writes out what is above it', () => {
  const logins = ['alice', 'bob', 'iotlab', 'xalice'];
  const level = fc.constantFrom('iotlab', 'alice', 'bob', 'x', '%u', 'x%u', 'iot%u', '+');
  const topic = fc
    .tuple(fc.array(level, { minLength: 1, maxLength: 3 }), fc.boolean())
    .map(([parts, open]) => [...parts, ...(open ? ['#'] : [])].join('/'));
  const any = fc.oneof(topic, fc.constantFrom('iotlab/%u/#', '%u/#', 'iotlab/alice/#', 'iotlab/+/#', 'iotlab/#', '#'));
  const rule: fc.Arbitrary<AclRuleConfig> = fc
    .tuple(any, maybe(some(fc.constantFrom(...logins))))
    .map(([topic, users]) => ({ access: 'readwrite' as const, topic, ...(users && { users }) }));
  const asked = fc
    .array(fc.constantFrom('iotlab', 'alice', 'bob', 'x', 'xalice', 'y'), { minLength: 1, maxLength: 3 })
    .map(topicOf);
  /** Whose tree the topic is in by this rule, and how many levels are above it. */
  const owners = ({ topic, users = [] }: AclRuleConfig, levels: readonly string[]): [string, string[]][] => {
    const parts = topic.split('/');
    const place = parts.findIndex((part) => part.includes('%u') || users.includes(part));
    const above = parts.slice(0, place);
    if (place === -1 || !above.every((part, i) => part === '+' || part === levels[i])) return [];
    // What is granted in the tree of another is nobody else's.
    if (!parts[place]!.includes('%u') && (above.includes('+') || above.length > 1)) return [];
    return logins
      .filter((login) => parts[place]!.includes('%u') || login === parts[place])
      .filter((login) => parts[place]!.replaceAll('%u', login) === levels[place])
      .map((login) => [login, above]);
  };
  const says = ({ topic }: AclRuleConfig, above: readonly string[]) => {
    const parts = topic.split('/');
    if (topic.includes('%u') || parts.length <= above.length || topic === '#') return false;
    return above.every((part, i) => parts[i] === part || (part === '+' && parts[i] !== '#'));
  };
  const seen = { others: 0, own: 0, refused: 0 };
  fc.assert(
    fc.property(
      fc.array(rule, { minLength: 1, maxLength: 3 }),
      fc.constantFrom(...logins),
      asked,
      (rules, who, topic) => {
        const acl = compiled(rules, []);
        if (acl === null) {
          seen.refused += 1;
          return;
        }
        const user = acl.forLogin(who);
        if (!user.publish(topic).allowed) return;
        const levels = topic.split('/');
        for (const [owner, above] of rules.flatMap((each) => owners(each, levels))) {
          if (owner === who) seen.own += 1;
          else {
            seen.others += 1;
            const by = rules.filter((each) => new Naive([each], []).may({ login: who, told: [] }, 'write', topic));
            // Also a rule that makes a tree of the user's own there.
            const fine = by.every((each) => says(each, above) || owners(each, levels).some(([login]) => login === who));
            assert.ok(fine, `${who} ${topic} of ${owner}: ${JSON.stringify(rules)}`);
          }
        }
      },
    ),
    { numRuns: 30_000 },
  );
  assert.ok(Math.min(seen.own, seen.refused, seen.others) > 100, JSON.stringify(seen));
});

test("rules that would give a login with the name of a branch everybody's tree are refused", () => {
  const refused = (...rules: AclRuleConfig[]) => assert.equal(compiled(rules, []), null, JSON.stringify(rules));
  const own: AclRuleConfig = { access: 'readwrite', topic: 'iotlab/%u/#' };
  refused({ access: 'readwrite', topic: '%u/#' }, own);
  refused(own, { access: 'read', topic: '%u/+/x' });
  refused({ access: 'readwrite', topic: 'iotlab/alice/#', users: ['alice'] }, { access: 'read', topic: '#' });
  assert.ok(
    compiled(
      [
        { access: 'readwrite', topic: 'iotlab/alice/#', users: ['alice'] },
        { access: 'read', topic: 'iotlab/#', groups: ['lab'] },
        { access: 'read', topic: '#', users: ['alice'] },
      ],
      [],
    ),
  );
});
