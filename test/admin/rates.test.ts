import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_RATE, Rates } from '../../src/admin/rates.js';
import { ConnectionTraffic } from '../../src/mqtt/traffic.js';
import { Counters } from '../../src/observe/counters.js';
import type { Accounts } from '../../src/session/accounts.js';
import type { UserAccount } from '../../src/session/user-account.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { userAccount } from '../support/accounts.js';

function scene() {
  const clock = new ManualClock();
  const byLogin = new Map<string, UserAccount>([['alice', userAccount('alice')]]);
  const accounts = {
    *traffic() {
      for (const { login, traffic } of byLogin.values()) yield [login, traffic];
    },
    trafficOf: (login: string) => byLogin.get(login)?.traffic,
  };
  let kept = 0;
  const balance = {
    add: (bytes: number) => {
      kept += bytes;
    },
  };
  const rates = new Rates(accounts as unknown as Accounts, clock, balance);
  return { clock, byLogin, rates, kept: () => kept };
}

test('a rate is that of the last minute, or of the time that there is', () => {
  const { clock, byLogin, rates } = scene();
  const traffic = new ConnectionTraffic(new Counters());
  traffic.user = byLogin.get('alice')!.traffic;
  assert.deepEqual(rates.of('alice'), NO_RATE);
  const second = () => {
    traffic.publishReceived();
    traffic.received(100);
    clock.advance(1_000);
  };
  for (let i = 0; i < 30; i++) second();
  assert.equal(rates.of('alice').publishesReceived, 1);
  assert.equal(rates.of('alice').bytesReceived, 100);
  for (let i = 0; i < 200; i++) second();
  clock.advance(30_000);
  const { publishesReceived } = rates.of('alice');
  assert.ok(publishesReceived > 0.3 && publishesReceived < 0.6, String(publishesReceived));
  clock.advance(60_000);
  assert.equal(rates.of('alice').publishesReceived, 0);
  assert.deepEqual(rates.of('nobody'), NO_RATE);
});

test('what is remembered goes with the user, and at the end', () => {
  const { clock, byLogin, rates, kept } = scene();
  byLogin.set('bob', userAccount('bob'));
  clock.advance(5_000);
  const ofTwo = kept();
  assert.ok(ofTwo > 0);
  byLogin.delete('bob');
  clock.advance(5_000);
  assert.equal(kept(), ofTwo / 2);
  rates.close();
  assert.equal(kept(), 0);
});
