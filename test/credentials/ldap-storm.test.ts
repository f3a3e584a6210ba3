// Long: thousands of log-ins, over ten seconds and more.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { brokerOn, login, logins, passwordOf, users } from '../support/ldap-broker.js';
import { slapdFor } from '../support/ldap-under-test.js';
import { mqttLogin } from '../support/mqtt-login.js';
import type { Storm, StormOutcome } from '../support/storm-clients.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** What a slow directory takes for each answer. */
const DIRECTORY_MS = 100;

test('2 000 devices of 50 users connect within 10 s to a directory that takes 100 ms; nobody else waits', async (t) => {
  const slapd = await slapdFor(t, { users });
  const proxy = await TcpProxy.start(slapd.port);
  t.after(() => proxy.stop());
  proxy.mischief = { kind: 'delay', ms: DIRECTORY_MS };
  const { address, broker } = await brokerOn(t, slapd, proxy.port);

  // Somebody who is in already talks to himself all the time.
  const talker = await login(t, address, 'user0');
  talker.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'iotlab/user0/talk', qos: 0 }] });
  const delaysMs: number[] = [];
  talker.onPublish(({ payload }) => delaysMs.push(performance.now() - Number(payload)));
  const talk = setInterval(() => {
    const payload = String(performance.now());
    talker.send({ cmd: 'publish', topic: 'iotlab/user0/talk', payload, qos: 0, retain: false, dup: false });
  }, 20);

  const child = fork(fileURLToPath(new URL('../support/storm-clients.js', import.meta.url)));
  t.after(() => child.kill('SIGKILL'));
  const devices = Array.from({ length: 2_000 }, (_, index) => {
    const username = logins[index % logins.length]!;
    return { username, password: passwordOf(username) };
  });
  const cpuBefore = await broker.cpuSeconds();
  // The last of them comes after 8 s.
  child.send({ address, devices, perSecond: 250 } satisfies Storm);
  const [outcome] = (await once(child, 'message')) as [StormOutcome];
  const cpuSeconds = (await broker.cpuSeconds()) - cpuBefore;
  clearInterval(talk);
  await slapd.logged();

  delaysMs.sort((a, b) => a - b);
  const [medianMs, p99Ms] = [0.5, 0.99].map((part) => Math.round(delaysMs[Math.floor(delaysMs.length * part)]!));
  assert.ok(!('error' in outcome), JSON.stringify(outcome));
  const { tally, tookMs } = outcome;
  t.diagnostic(
    `all in after ${(tookMs / 1_000).toFixed(1)} s, ${cpuSeconds.toFixed(1)} s of CPU in the broker; ` +
      `a message took ${medianMs} ms (median), ${p99Ms} ms (99 %)`,
  );
  assert.deepEqual(tally, [[0, 2_000]]);
  assert.equal(slapd.lines.filter((line) => / BIND dn="uid=[^"]*" method/.test(line)).length, 50);
  // The machine may be busy with other things and the clock run on; what the broker itself took is no excuse.
  assert.ok(cpuSeconds < 12, `${cpuSeconds} s`);
  // Who would wait for the directory waited for one answer of it at least.
  assert.ok(medianMs! < DIRECTORY_MS && delaysMs.length > 100, `median ${medianMs} ms of ${delaysMs.length}`);
  assert.deepEqual(broker.complaints, []);
});

test('1 000 logins while the directory restarts are all accepted or told "unavailable"', async (t) => {
  const slapd = await slapdFor(t, { users });
  const { address, broker } = await brokerOn(t, slapd, slapd.port, { cache: { ttlMs: 0, staleMs: 0 } });
  const codes: Promise<number | null>[] = [];
  const underWay = new Set<Promise<unknown>>();
  let restarting = Promise.resolve();
  for (let count = 0; count < 1_000; count += 1) {
    // A machine that is busy with other things must not let them wait for a processor until their deadline.
    if (underWay.size === 300) await Promise.race(underWay);
    const username = logins[count % logins.length]!;
    const attempt = mqttLogin(address, { username, password: passwordOf(username), clientId: `c${count}` });
    const codeOf = attempt.then(({ code, socket }) => {
      socket.destroy();
      return code;
    });
    codes.push(codeOf);
    underWay.add(codeOf);
    void codeOf.finally(() => underWay.delete(codeOf)).catch(() => {});
    if (count === 300)
      restarting = slapd
        .stop()
        .then(() => pause(300))
        .then(() => slapd.start());
    if (count === 700) restarting = restarting.then(() => slapd.stop('SIGKILL')).then(() => slapd.start());
    await pause(3);
  }
  await restarting;
  const tally = new Map<number | null, number>();
  for (const code of await Promise.all(codes)) tally.set(code, (tally.get(code) ?? 0) + 1);
  t.diagnostic(`CONNACK codes: ${[...tally].map(([code, count]) => `${code}: ${count}`).join(', ')}`);
  assert.equal((tally.get(0) ?? 0) + (tally.get(3) ?? 0), 1_000);
  assert.ok((tally.get(0) ?? 0) > 0 && (tally.get(3) ?? 0) > 0);
  assert.equal((await login(t, address, 'user1')).code, 0);
  assert.equal((await login(t, address, 'user1', 'wrong')).code, 5);
  assert.ok(broker.running, 'the broker is still there');
});
