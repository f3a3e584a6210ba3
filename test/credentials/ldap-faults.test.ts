import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import { Fault } from '../../src/errors.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { eventually } from '../support/deadline.js';
import { fakeServer } from '../support/fake-ldap.js';
import { openLdap, slapdFor } from '../support/ldap-under-test.js';
import { type Slapd, servicePassword, startSlapd } from '../support/slapd.js';
import { leavingNoSocket } from '../support/sockets.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const users = new Map([
  ['alice', 'secret'],
  ['bob1', 'builder'],
]);
/** Of a clock that a test holds in its hand. */
const impatient = { connectTimeoutMs: 400, bindTimeoutMs: 400, searchTimeoutMs: 400 };
const wrong = { accepted: false, reason: 'wrong-password' };

/**
 * Lets time pass until that holds, no faster than what it wakes can run; at most a minute. ldapjs begins to connect a
 * millisecond after it was asked to, by the clock on the wall: a timer that is set later and is longer ends after that.
 */
async function passTime(clock: ManualClock, until: () => boolean): Promise<void> {
  for (let passedMs = 0; passedMs < 60_000 && !until(); passedMs += 20) {
    clock.advance(20);
    await new Promise((resolve) => setTimeout(resolve, 2));
    for (let turns = 0; turns < 20; turns += 1) await new Promise(setImmediate);
  }
}

/** The same until somebody is told of a fault. Not for answers: a server that works needs time of its own. */
async function faultInTime(clock: ManualClock, promise: Promise<unknown>): Promise<Fault> {
  let told = false;
  const fault = faultOf(promise).finally(() => {
    told = true;
  });
  await passTime(clock, () => told);
  return fault;
}

/** Where nobody listens. */
async function portOfNobody(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function faultOf(promise: Promise<unknown>): Promise<Fault> {
  const outcome = await promise.catch((error) => error);
  assert.ok(outcome instanceof Fault, `a fault was due, not ${JSON.stringify(outcome)}`);
  return outcome;
}

describe('the LDAP backend when the directory is in trouble', () => {
  let slapd: Slapd;
  let proxy: TcpProxy;

  before(async () => {
    slapd = await startSlapd({ users });
    proxy = await TcpProxy.start(slapd.port);
  });
  after(async () => {
    await proxy?.stop();
    await slapd?.remove();
  });
  beforeEach(() => {
    proxy.mischief = { kind: 'none' };
  });

  const throughProxy = () => ({ urls: [`ldap://127.0.0.1:${proxy.port}`] });

  test(
    'down at the start, killed and restarted: faults while it is down, answers at once when it is not',
    leavingNoSocket(async (t) => {
      await slapd.stop();
      const { verify, backend } = await openLdap(t, slapd);
      assert.equal((await faultOf(verify('alice', 'secret'))).code, 'E_LDAP_UNREACHABLE');
      await slapd.start();
      const verdict = await verify('alice', 'secret');
      assert.ok(verdict.accepted);
      for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
        await slapd.stop(signal);
        for (let round = 0; round < 20; round += 1) {
          await faultOf(verify('alice', 'secret'));
          await faultOf(verify('alice', 'wrong'));
          await faultOf(backend.revalidate('alice', verdict.proof, AbortSignal.timeout(5_000)));
        }
        await slapd.start();
        assert.equal((await verify('alice', 'secret')).accepted, true);
        assert.deepEqual(await verify('alice', 'wrong'), wrong);
        assert.equal(await backend.revalidate('alice', verdict.proof, AbortSignal.timeout(5_000)), true);
      }
    }),
  );

  test(
    'stopped by SIGSTOP: faults within the deadlines, and answers as soon as it goes on',
    leavingNoSocket(async (t) => {
      const clock = new ManualClock();
      const { verify } = await openLdap(t, slapd, impatient, clock);
      assert.equal((await verify('alice', 'secret')).accepted, true);
      slapd.signal('SIGSTOP');
      try {
        const begin = clock.monotonicMs();
        const asked = Array.from({ length: 20 }, () => verify('alice', 'secret', 60_000));
        const faults = await Promise.all(asked.map((verdict) => faultInTime(clock, verdict)));
        // The search of the one that was asked on the open connection, then a connection, and the search on it.
        const tookMs = clock.monotonicMs() - begin;
        assert.ok(tookMs <= 20 * 3 * (400 + 100), `${tookMs} ms`);
        for (const { code } of faults) assert.equal(code, 'E_LDAP_TIMEOUT');
      } finally {
        slapd.signal('SIGCONT');
      }
      assert.equal((await verify('alice', 'secret')).accepted, true);
      assert.deepEqual(await verify('alice', 'wrong'), wrong);
    }),
  );

  test(
    'connections dropped while idle are no outage, and nobody is told of one',
    leavingNoSocket(async (t) => {
      const { verify, log } = await openLdap(t, slapd, throughProxy());
      for (let round = 0; round < 10; round += 1) {
        const verdicts = await Promise.all([
          verify('alice', 'secret'),
          verify('bob1', 'builder'),
          verify('bob1', 'wrong'),
        ]);
        assert.deepEqual(
          verdicts.map(({ accepted }) => accepted),
          [true, true, false],
        );
        proxy.dropAll();
      }
      assert.equal(log.lines().filter(({ level }) => Number(level) >= 40).length, 0, log.text());
    }),
  );

  test(
    'a directory with an idle limit of one second is no outage either',
    leavingNoSocket(async (t) => {
      const strict = await slapdFor(t, { users, idleTimeoutSeconds: 1 });
      const { verify, log } = await openLdap(t, strict);
      assert.equal((await verify('alice', 'secret')).accepted, true);
      for (const until = Date.now() + 10_000; !strict.lines.some((line) => /closed \(idletimeout\)/.test(line)); ) {
        assert.ok(Date.now() < until, 'slapd did not drop the idle connection');
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      assert.equal((await verify('alice', 'secret')).accepted, true);
      assert.equal(log.lines().filter(({ level }) => Number(level) >= 40).length, 0, log.text());
    }),
  );

  test(
    'a connection that went dead without a word costs one deadline, not a refusal',
    leavingNoSocket(async (t) => {
      const clock = new ManualClock();
      const { verify } = await openLdap(t, slapd, { ...throughProxy(), ...impatient }, clock);
      assert.equal((await verify('alice', 'secret')).accepted, true);
      proxy.mischief = { kind: 'swallow' };
      const begin = clock.monotonicMs();
      assert.equal((await faultInTime(clock, verify('alice', 'secret'))).code, 'E_LDAP_TIMEOUT');
      // On the dead connection, and on a new one, which is as dead.
      assert.ok(clock.monotonicMs() - begin <= 2 * 400, `${clock.monotonicMs() - begin} ms`);
      proxy.mischief = { kind: 'none' };
      proxy.dropAll();
      assert.equal((await verify('alice', 'secret')).accepted, true);
    }),
  );

  test(
    'slow answers are waited for, up to the deadline',
    leavingNoSocket(async (t) => {
      const clock = new ManualClock();
      const { verify } = await openLdap(t, slapd, { ...throughProxy(), ...impatient }, clock);
      proxy.mischief = { kind: 'delay', ms: 100 };
      const slow = verify('alice', 'secret');
      clock.advance(399);
      assert.equal((await slow).accepted, true);
      assert.deepEqual(await verify('alice', 'wrong'), wrong);
      proxy.mischief = { kind: 'swallow' };
      assert.equal((await faultInTime(clock, verify('alice', 'secret'))).code, 'E_LDAP_TIMEOUT');
      assert.match((await faultOf(verify('alice', 'secret', 100))).code, /^E_LDAP_CANCELLED$/);
    }),
  );

  test(
    'an answer that is cut off anywhere is an outage, never a refusal',
    leavingNoSocket(async (t) => {
      const { verify } = await openLdap(t, slapd, throughProxy());
      for (let afterBytes = 0; afterBytes <= 600; afterBytes += afterBytes < 40 ? 1 : 16) {
        proxy.mischief = { kind: 'cut', afterBytes };
        const outcome = await verify('alice', 'secret').catch((error) => error);
        if (!(outcome instanceof Fault)) assert.equal(outcome.accepted, true, `cut after ${afterBytes} bytes: refused`);
        proxy.dropAll();
      }
    }),
  );

  test(
    'a certificate of another host or of another authority is a fault, and no password is sent',
    leavingNoSocket(async (t) => {
      const stranger = await slapdFor(t, { users, certificateNames: ['ldap.example.org', '127.0.0.2'] });
      await stranger.logged();
      const before = stranger.binds();
      for (const security of ['tls', 'starttls'] as const) {
        const startTls = security === 'starttls';
        for (const host of ['localhost', '127.0.0.1']) {
          const url = startTls ? `ldap://${host}:${stranger.port}` : `ldaps://${host}:${stranger.tlsPort}`;
          for (const ca of [stranger.ca, slapd.ca, '']) {
            for (const searchBase of [stranger.suffix, '']) {
              const { verify } = await openLdap(t, stranger, { urls: [url], startTls, ca, searchBase });
              const fault = await faultOf(verify('alice', 'secret'));
              assert.equal(fault.code, 'E_LDAP_TLS', `${url}: ${fault.message}`);
            }
          }
        }
      }
      await stranger.logged();
      assert.equal(stranger.binds(), before);
      const { verify } = await openLdap(t, slapd, { urls: [slapd.tlsUrl] });
      assert.equal((await verify('alice', 'secret')).accepted, true);
    }),
  );

  test(
    'a clear text server that is spoken to in TLS, and the other way round, is a fault',
    leavingNoSocket(async (t) => {
      const mixed = [`ldaps://localhost:${slapd.port}`, `ldap://localhost:${slapd.tlsPort}`];
      for (const url of mixed) {
        const { verify } = await openLdap(t, slapd, { urls: [url], ...impatient });
        assert.match(
          (await faultOf(verify('alice', 'secret'))).code,
          /^E_LDAP_(TLS|TIMEOUT|CLOSED|UNREACHABLE|PROTOCOL)$/,
        );
      }
    }),
  );

  test(
    'a rejected service account is an outage, and over as soon as it is accepted',
    leavingNoSocket(async (t) => {
      const { verify } = await openLdap(t, slapd);
      const dn = `cn=broker,ou=Services,${slapd.suffix}`;
      const setPassword = (password: string) =>
        slapd.modify(
          `dn: ${dn}\nchangetype: modify\nreplace: userPassword\nuserPassword:: ${Buffer.from(password).toString('base64')}\n`,
        );
      await setPassword('another');
      assert.equal((await faultOf(verify('alice', 'secret'))).code, 'E_LDAP_SERVICE_BIND');
      assert.equal((await faultOf(verify('nobody', 'secret'))).code, 'E_LDAP_SERVICE_BIND');
      await setPassword(servicePassword);
      assert.equal((await verify('alice', 'secret')).accepted, true);
    }),
  );

  test(
    'the first server that works answers; a dead or hanging one delays nobody after the first',
    leavingNoSocket(async (t) => {
      let tried = 0;
      const hanging = await fakeServer(t, (socket) => {
        tried += 1;
        socket.resume();
      });
      const dead = await portOfNobody();
      for (const urls of [
        [`ldap://127.0.0.1:${dead}`, slapd.url],
        [`ldap://127.0.0.1:${hanging.port}`, slapd.url],
        [`ldap://127.0.0.1:${hanging.port}`, `ldap://127.0.0.1:${dead}`, slapd.url],
      ]) {
        const hangs = urls[0]!.endsWith(`:${hanging.port}`);
        const clock = new ManualClock();
        const { verify, log } = await openLdap(t, slapd, { urls, ...impatient, maxBackoffMs: 60_000 }, clock);
        tried = 0;
        const failures = (message: string, of = /./) =>
          log.lines().filter(({ msg, server }) => msg === message && of.test(String(server))).length;
        const theHangingOne = new RegExp(`:${hanging.port}$`);
        // The search waits for an answer to its service bind, and is then asked of the next server.
        const first = verify('alice', 'secret');
        if (hangs) {
          // A busy machine may take longer to connect than it takes to let the time for it pass.
          await eventually(5_000, 'the first server is tried', () => tried === 1);
          await passTime(clock, () => failures('directory server failed', theHangingOne) > 0);
        }
        assert.equal((await first).accepted, true);
        // From here on no time passes: whoever had to wait for the first server would wait for ever.
        for (let round = 0; round < 5; round += 1) {
          assert.equal((await verify('alice', 'secret')).accepted, true);
          assert.deepEqual(await verify('alice', 'wrong'), wrong);
        }
        assert.equal(tried, hangs ? 1 : 0);
        if (hangs) {
          // When its back-off is over it is tried by one question, whatever comes at the same time.
          clock.advance(100);
          const patient = verify('bob1', 'builder');
          await eventually(5_000, 'the first server is tried again', () => tried === 2);
          for (let round = 0; round < 5; round += 1) assert.equal((await verify('alice', 'secret')).accepted, true);
          assert.equal(tried, 2);
          await passTime(clock, () => failures('still failing', theHangingOne) > 0);
          assert.equal((await patient).accepted, true);
        }
        assert.equal(failures('directory server failed'), urls.length - 1);
      }
    }),
  );

  test(
    'the first choice is used again when it is back',
    leavingNoSocket(async (t) => {
      const second = await slapdFor(t, { users });
      const clock = new ManualClock();
      const urls = [`ldap://127.0.0.1:${proxy.port}`, second.url];
      const { verify, log } = await openLdap(t, slapd, { urls, ...impatient, maxBackoffMs: 100 }, clock);
      const bindsOf = async (login: string): Promise<[number, number]> => {
        await Promise.all([slapd.logged(), second.logged()]);
        const before = [slapd.binds(), second.binds()] as const;
        const verdict = verify(login, 'secret');
        if (proxy.mischief.kind !== 'none') await passTime(clock, () => /directory server failed/.test(log.text()));
        assert.equal((await verdict).accepted, true);
        await Promise.all([slapd.logged(), second.logged()]);
        return [slapd.binds() - before[0], second.binds() - before[1]];
      };
      assert.deepEqual(await bindsOf('alice'), [2, 0]);
      proxy.mischief = { kind: 'swallow' };
      assert.ok((await bindsOf('alice'))[1] >= 1);
      proxy.mischief = { kind: 'none' };
      proxy.dropAll();
      clock.advance(100);
      await bindsOf('alice');
      assert.match(log.text(), /works again/);
      assert.equal((await bindsOf('alice'))[1], 0);
    }),
  );

  test(
    'closing ends what is being asked, in every state',
    leavingNoSocket(async (t) => {
      const hanging = await fakeServer(t, (socket) => socket.resume());
      for (const urls of [[`ldap://127.0.0.1:${hanging.port}`], [`ldaps://127.0.0.1:${hanging.port}`]]) {
        for (const searchBase of [slapd.suffix, '']) {
          const { verify, backend } = await openLdap(t, slapd, { urls, searchBase, poolSize: 1 });
          const asked = Array.from({ length: 5 }, () => faultOf(verify('alice', 'secret')));
          await new Promise((resolve) => setImmediate(resolve));
          await backend.close();
          for (const { code } of await Promise.all(asked)) assert.match(code, /^E_LDAP_(STOPPED|CANCELLED|CLOSED)$/);
          await assert.rejects(verify('alice', 'secret'), { code: 'E_LDAP_STOPPED' });
        }
      }
    }),
  );
});
