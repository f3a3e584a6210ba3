import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileAcl, type UserAcl } from '../../src/acl/acl.js';
import type { AclRuleConfig } from '../../src/config/config.js';
import { UsageError } from '../../src/errors.js';
import { isValidTopicFilter, isValidTopicName, topicMatchesFilter } from '../../src/mqtt/topics.js';

// Few words, so that rules, filters and topics meet often.
const word = fc.constantFrom('a', 'ab', '', '$S', 'u');
const levels = { minLength: 1, maxLength: 5 };
const topicArb = fc
  .array(word, levels)
  .map((parts) => parts.join('/'))
  .filter(isValidTopicName);
const filterArb = fc
  .tuple(fc.array(fc.oneof(word, fc.constant('+')), levels), fc.boolean())
  .map(([parts, open]) => [...parts, ...(open ? ['#'] : [])].join('/'))
  .filter(isValidTopicFilter);
const ruleArb = fc.record({
  access: fc.constantFrom('read' as const, 'write' as const, 'readwrite' as const),
  topic: fc.oneof(
    filterArb,
    fc.constant('#'),
    filterArb.map((filter) => filter.replaceAll('u', '%u')),
  ),
});

/** The standard, word for word and level by level. */
function matches(topic: readonly string[], filter: readonly string[], first = true): boolean {
  if (filter.length === 0) return topic.length === 0;
  if (first && topic[0]!.startsWith('$') && (filter[0] === '#' || filter[0] === '+')) return false;
  if (filter[0] === '#') return true;
  if (topic.length === 0) return false;
  return (filter[0] === '+' || filter[0] === topic[0]) && matches(topic.slice(1), filter.slice(1), false);
}
const reference = (topic: string, filter: string) => matches(topic.split('/'), filter.split('/'));

/** A topic that the filter matches: every `+` a word, `#` some levels. */
function topicOf(filter: string, words: readonly string[], tail: readonly string[]): string {
  const parts = filter.split('/');
  const open = parts.at(-1) === '#';
  if (open) parts.pop();
  const filled = parts.map((part, i) => (part === '+' ? words[i % words.length]! : part));
  return [...filled, ...(open ? tail : [])].join('/');
}

const runs = { numRuns: 3_000 };

/** Null for rules that nobody gets compiled, since one of them reaches into trees without saying so. */
function rulesOfU(rules: readonly AclRuleConfig[]): UserAcl | null {
  try {
    return compileAcl(rules).forLogin('u');
  } catch (error) {
    assert.ok(error instanceof UsageError && error.message.includes('reaches into the trees'), String(error));
    return null;
  }
}

test('topicMatchesFilter agrees with the naive reference', () => {
  fc.assert(
    fc.property(topicArb, filterArb, (topic, filter) => {
      assert.equal(topicMatchesFilter(topic, filter), reference(topic, filter));
    }),
    runs,
  );
});

test('publish and deliver agree with the naive reference', () => {
  fc.assert(
    fc.property(fc.array(ruleArb, { maxLength: 3 }), topicArb, (rules, topic) => {
      const user = rulesOfU(rules);
      if (user === null) return;
      const grants = (not: string) =>
        rules.some((rule) => rule.access !== not && reference(topic, rule.topic.replaceAll('%u', 'u')));
      assert.equal(user.publish(topic).allowed, grants('read'));
      assert.equal(user.deliver(topic).allowed, grants('write'));
    }),
    runs,
  );
});

test('every topic that a granted filter matches is deliverable', () => {
  let granted = 0;
  const words = fc.array(word, levels);
  fc.assert(
    fc.property(
      fc.array(ruleArb, levels),
      filterArb,
      words,
      fc.array(word, { maxLength: 3 }),
      (rules, filter, fill, tail) => {
        const user = rulesOfU(rules);
        if (user === null || !user.subscribe(filter).allowed) return;
        const topic = topicOf(filter, fill, tail);
        if (!isValidTopicName(topic) || !reference(topic, filter)) return;
        granted += 1;
        assert.equal(user.deliver(topic).allowed, true, `${filter} was granted, ${topic} is not deliverable`);
      },
    ),
    { numRuns: 10_000 },
  );
  assert.ok(granted > 500, `only ${granted} cases said anything`);
});

test('a filter is granted whenever one rule matches all of a telling set of its topics', () => {
  // Words that no rule holds stand for "anything": the rule that matches them has wildcards there.
  fc.assert(
    fc.property(ruleArb, filterArb, (rule, filter) => {
      // It would match the empty topic, which no message has: a rule such as `+/+/#` need not cover that.
      if (filter === '/#') return;
      const user = compileAcl([rule]).forLogin('u');
      const open = filter.endsWith('#');
      const tails = open ? [[], ['anything'], ['anything', 'else'], ['', '', '', '', '', '', '']] : [[]];
      const telling = tails.map((tail) => topicOf(filter, ['anything'], tail)).filter(isValidTopicName);
      const all = telling.every((topic) => user.deliver(topic).allowed);
      assert.equal(user.subscribe(filter).allowed, all, `${rule.access} ${rule.topic} and ${filter}: ${telling}`);
    }),
    { numRuns: 10_000 },
  );
});
