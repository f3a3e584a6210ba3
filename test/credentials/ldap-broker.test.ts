import assert from 'node:assert/strict';
import { test } from 'node:test';
import { within } from '../support/deadline.js';
import { brokerOn, login, logins, users } from '../support/ldap-broker.js';
import { slapdFor } from '../support/ldap-under-test.js';
import type { MqttLogin } from '../support/mqtt-login.js';
import { serviceDn } from '../support/slapd.js';

/** Resolves with whether the broker closed the connection within the time. */
function closedWithin({ closed }: MqttLogin, ms: number): Promise<boolean> {
  return within(ms, 'the end of the connection', closed).then(
    () => true,
    () => false,
  );
}

test('in an outage who was in lately gets in, the others hear "unavailable", and nobody is thrown out', async (t) => {
  const slapd = await slapdFor(t, { users });
  const credentials = { cache: { ttlMs: 1 }, revalidateMs: 300, timeoutMs: 1_500 };
  const { address } = await brokerOn(t, slapd, slapd.port, credentials);
  const live = await login(t, address, 'user1');
  assert.equal(live.code, 0);
  slapd.signal('SIGSTOP');
  try {
    const [known, guess, other] = await Promise.all([
      login(t, address, 'user1'),
      login(t, address, 'user1', 'wrong'),
      login(t, address, 'user2'),
    ]);
    assert.deepEqual([known.code, guess.code, other.code], [0, 3, 3]);
    assert.equal(await closedWithin(live, 1_500), false);
  } finally {
    slapd.signal('SIGCONT');
  }
  assert.equal((await login(t, address, 'user2')).code, 0);
  assert.equal((await login(t, address, 'user1', 'wrong')).code, 5);
});

test('who is removed, disabled or given a new password is disconnected; who changes a number is not', async (t) => {
  const slapd = await slapdFor(t, { users });
  for (const searchBase of [slapd.people, '']) {
    const port = slapd.port;
    const { address } = await brokerOn(t, slapd, port, {
      revalidateMs: 200,
      cache: { ttlMs: 0 },
      ldap: {
        urls: [`ldap://127.0.0.1:${port}`],
        searchBase,
        bindDn: slapd.bindDn,
        serviceDn,
        servicePasswordFile: 'service-password',
      },
    });
    const offset = searchBase === '' ? 10 : 20;
    const [removed, disabled, changed, touched] = [0, 1, 2, 3].map((index) => logins[offset + index]!);
    const clients = await Promise.all([removed, disabled, changed, touched].map((name) => login(t, address, name!)));
    assert.deepEqual(
      clients.map(({ code }) => code),
      [0, 0, 0, 0],
    );
    await slapd.removeUser(removed!);
    await slapd.replace(disabled!, 'shadowExpire', '0');
    await slapd.setPassword(changed!, 'new');
    await slapd.replace(touched!, 'telephoneNumber', '1');
    const ended = await Promise.all(clients.map((client, index) => closedWithin(client, index === 3 ? 1_500 : 10_000)));
    assert.deepEqual(ended, [true, true, true, false]);
  }
});
