import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AdminContext } from '../../src/admin/context.js';
import { MeEvents } from '../../src/admin/me-events.js';
import { History } from '../../src/observe/history.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { newLedger, newScheduler, userAccount } from '../support/accounts.js';

test('users who look on are not all told in the same moment, each within a quarter of a second, in one write', async () => {
  const clock = new ManualClock();
  const ledger = newLedger();
  const history = new History(clock, { add() {} });
  const scheduler = newScheduler();
  const distribution = { onPublication() {}, offPublication() {} };
  const parts = { distribution, history, scheduler, accounts: { release() {} } };
  const events = new MeEvents({ parts, clock, streams: { open: 0, dropped: 0 } } as unknown as AdminContext);
  const users = Array.from({ length: 100 }, (_, i) => userAccount(`user${i}`, ledger));
  const told: string[] = [];
  for (const account of users) {
    const write = (text: string) => void (text.startsWith(':') || told.push(`${account.login} ${text}`));
    events.follow(account, { unsentBytes: 0, write, end() {}, onClose() {} });
  }
  for (const { login } of users) {
    for (const topic of ['x', 'y']) history.denied({ login, clientId: 'c' }, 'publish', topic, 'denied', () => 'no');
  }
  for (let ms = 25; ms <= 250; ms += 25) {
    const before = told.length;
    clock.advance(25);
    await scheduler.whenIdle();
    assert.equal(told.length - before, 10, `${ms} ms`);
  }
  for (const [i, { login }] of users.entries()) {
    const [text, ...more] = told.filter((each) => each.startsWith(`${login} `));
    assert.equal(text?.match(/event: denied/g)?.length, 2, `user${i}`);
    assert.deepEqual(more, []);
  }
  events.close();
});
