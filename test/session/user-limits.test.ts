import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultConfig } from '../../src/config/defaults.js';
import { groupSubject } from '../../src/group-name.js';
import { LimitRules } from '../../src/session/user-limits.js';

test('decisions are counted for as long as they are kept, and the first that names a limit counts', () => {
  let bytes = 0;
  const balance = {
    add(more: number) {
      bytes += more;
    },
  };
  const config = { ...defaultConfig(), groups: [{ name: 'Lab', users: ['alice'] }] };
  const rules = new LimitRules(config, balance);
  const decided = (limits: object, reason = '') => ({ limits, since: 0, until: null, reason });
  rules.setOverride('alice', decided({ sessionsPerUser: 1 }));
  const one = bytes;
  assert.ok(one > 500);
  rules.setOverride('alice', decided({ sessionsPerUser: 2 }, 'a reason'));
  assert.equal(bytes, one + 16);
  rules.setOverride(groupSubject('LAB'), decided({ sessionsPerUser: 3, connectionsPerUser: 4 }));
  rules.setOverride(groupSubject('told'), decided({ connectionsPerUser: 5, burstMs: 6 }));
  const { sessionsPerUser, connectionsPerUser, burstMs } = rules.of('alice', ['Told']);
  assert.deepEqual([sessionsPerUser, connectionsPerUser, burstMs], [2, 4, 6]);
  assert.equal(rules.of('bob', []).connectionsPerUser, config.limits.connectionsPerUser);
  for (const [subject] of [...rules.overrides()]) rules.setOverride(subject, null);
  assert.equal(bytes, 0);
});
