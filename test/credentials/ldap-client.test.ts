// Own process: counts the processor time of all that is in it.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { createSecureContext, TLSSocket } from 'node:tls';
import { systemClock } from '../../src/clock.js';
import { connectLdap } from '../../src/credentials/ldap-client.js';
import type { LdapServer } from '../../src/credentials/ldap-messages.js';
import { Fault } from '../../src/errors.js';
import { type Authority, makeAuthority } from '../../src/listener/certificates.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { eventually } from '../support/deadline.js';
import { ber, fakeServer, ldapResult, noticeOfDisconnection, searchEntry } from '../support/fake-ldap.js';
import { openSockets, type Scope, socketsDownTo } from '../support/sockets.js';

const wait = (timeoutMs = 5_000) => ({ timeoutMs, signal: new AbortController().signal, clock: systemClock });
const bindAnswer = 0x61;
const startTlsAnswer = 0x78;

function server(port: number, security: LdapServer['security'] = 'none', ca?: string): LdapServer {
  return { name: `ldap://127.0.0.1:${port}`, host: '127.0.0.1', port, security, trust: createSecureContext({ ca }) };
}

describe('an LDAP connection', () => {
  let socketsBefore = 0;
  let authority: Authority;
  before(async () => {
    authority = makeAuthority();
    socketsBefore = openSockets();
  });
  after(() => socketsDownTo(socketsBefore));

  test('tells the result code of a bind, whatever it is', async (t) => {
    for (const code of [0, 1, 49, 53, 80, 99, 127]) {
      const { port } = await fakeServer(t, (socket) => {
        socket.once('data', () => socket.write(ldapResult(1, bindAnswer, code, 'words')));
      });
      const connection = await connectLdap(server(port), wait());
      const bound = connection.bind('cn=x', 'secret', wait());
      // ldapjs throws on codes that it does not know.
      if (code < 99) assert.equal((await bound).code, code);
      else await assert.rejects(bound, { code: 'E_LDAP_PROTOCOL' });
      connection.close();
    }
  });

  test('takes no other answer for the answer to a bind', async (t) => {
    for (const tag of [0x65, 0x67, 0x69, 0x6b, 0x6d, 0x6f, 0x78]) {
      const { port } = await fakeServer(t, (socket) => {
        socket.once('data', () => socket.write(ldapResult(1, tag, 0)));
      });
      const connection = await connectLdap(server(port), wait());
      await assert.rejects(connection.bind('cn=x', 'secret', wait(2_000)), { code: 'E_LDAP_PROTOCOL' }, `tag ${tag}`);
    }
  });

  test('never sends an empty password', async (t) => {
    let heard = 0;
    const { port } = await fakeServer(t, (socket) => socket.on('data', (data) => (heard += data.length)));
    const connection = await connectLdap(server(port), wait());
    await assert.rejects(connection.bind('cn=x', '', wait()), { code: 'E_LDAP_BIND' });
    connection.close();
    assert.equal(heard, 0);
  });

  test('survives whatever a server sends', async (t) => {
    const right = ldapResult(1, bindAnswer, 49, 'some words of the server');
    const values = [0x00, 0x30, 0x7f, 0x80, 0x84, 0xff];
    let next = 0;
    const { port } = await fakeServer(t, (socket) => {
      const round = next++;
      socket.once('data', () => {
        const bytes = Buffer.from(right);
        // The first rounds change each byte in turn to something interesting, the others several at once.
        if (round < bytes.length * values.length) {
          bytes[Math.floor(round / values.length)] = values[round % values.length]!;
        } else {
          for (let change = 0; change < 3; change += 1)
            bytes[(round * 7 + change * 5) % bytes.length] = (round * 31 + change) % 256;
        }
        socket.end(Buffer.concat([bytes, bytes.subarray(0, round % 9)]));
      });
    });
    const ask = async (): Promise<void> => {
      const connection = await connectLdap(server(port), wait());
      const outcome = await connection.bind('cn=x', 'secret', wait()).catch((error) => error);
      if (outcome instanceof Error) assert.ok(outcome instanceof Fault, String(outcome));
      connection.close();
    };
    for (let batch = 0; batch < 20; batch += 1) await Promise.all(Array.from({ length: 25 }, ask));
  });

  /** A connection to a server that answers whatever it hears with `answer`, under a clock that stands still. */
  async function answering(t: Scope, answer: (socket: Socket) => void) {
    const { port } = await fakeServer(t, (socket) => socket.once('data', () => answer(socket)));
    const clock = new ManualClock();
    const still = { timeoutMs: 1_000, signal: new AbortController().signal, clock };
    const connection = await connectLdap(server(port), still);
    t.after(() => connection.close());
    const filter = { kind: 'present', attribute: 'uid' } as const;
    const query = { base: 'dc=x', scope: 'sub', filter, attributes: ['uid'], sizeLimit: 2 } as const;
    return {
      connection,
      bind: () => connection.bind('cn=x', 'secret', still),
      search: () => connection.search(query, still),
    };
  }
  const searchDone = 0x65;

  test('takes no other answer for the answer to a search, whatever result it tells', async (t) => {
    for (const tag of [bindAnswer, 0x67, 0x69, 0x6b, 0x6d, 0x6f, startTlsAnswer, 0x79, 0x60, 0x63]) {
      for (const code of [0, 4, 32, 49]) {
        const { search, connection } = await answering(t, (socket) => socket.write(ldapResult(1, tag, code)));
        await assert.rejects(search(), { code: 'E_LDAP_PROTOCOL' }, `tag ${tag}, result ${code}`);
        assert.notEqual(connection.failure, null);
      }
    }
  });

  test('an answer to something else, garbage, and a goodbye are faults at once, not when the time is over', async (t) => {
    const notLdap = [
      Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
      Buffer.from([0x30, 0x80]),
      Buffer.from([0x30, 0x85, 0, 0, 0, 0, 1]),
      Buffer.from([0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]),
      Buffer.from([0x30, 0x00]),
      Buffer.from([0x30, 0x03, 0x02, 0x01, 0x01]),
      ber(0x30, ber(0x04, [1]), ber(searchDone)),
      ber(0x30, ber(0x02, [1]), ber(searchDone, [0xff, 0xff])),
      Buffer.alloc(1_000),
    ];
    const table: [Buffer, string][] = [
      ...notLdap.map((bytes): [Buffer, string] => [bytes, 'E_LDAP_PROTOCOL']),
      [ldapResult(2, searchDone, 0), 'E_LDAP_PROTOCOL'],
      [ldapResult(0, searchDone, 0), 'E_LDAP_PROTOCOL'],
      [noticeOfDisconnection(), 'E_LDAP_CLOSED'],
      [Buffer.concat([searchEntry(1, 'uid', 'alice'), noticeOfDisconnection()]), 'E_LDAP_CLOSED'],
    ];
    for (const [bytes, code] of table) {
      const { search } = await answering(t, (socket) => socket.write(bytes));
      await assert.rejects(search(), { code }, bytes.toString('hex').slice(0, 60));
    }
  });

  test('a goodbye to a connection that nobody uses ends it, and so does anything else', async (t) => {
    for (const bytes of [noticeOfDisconnection(), ldapResult(1, bindAnswer, 0), Buffer.from('x')]) {
      const { bind, connection } = await answering(t, (socket) => {
        socket.write(ldapResult(1, bindAnswer, 0));
        setImmediate(() => socket.write(bytes));
      });
      assert.equal((await bind()).code, 0);
      await eventually(5_000, 'the connection ends', () => connection.failure !== null);
    }
  });

  test('an attribute that is repeated 50 000 times costs no time; one of hundreds of portions is read', async (t) => {
    const some = await answering(t, (socket) =>
      socket.write(Buffer.concat([searchEntry(1, 'uid', 'alice', 500), ldapResult(1, searchDone, 0)])),
    );
    assert.deepEqual((await some.search()).entries[0]?.values('uid').length, 500);
    const huge = searchEntry(1, 'uid', 'alice', 50_000);
    const { search } = await answering(t, (socket) => socket.write(huge));
    const before = process.cpuUsage();
    await assert.rejects(search(), { code: 'E_LDAP_PROTOCOL' });
    const { user, system } = process.cpuUsage(before);
    assert.ok(user + system < 1_000_000, `${(user + system) / 1_000} ms of CPU`);
  });

  test('entries and references without end are no answer, and are not collected', async (t) => {
    const reference = ber(0x30, ber(0x02, [1]), ber(0x73, ber(0x04, Buffer.from('ldap://127.0.0.1/dc=y'))));
    for (const message of [searchEntry(1, 'uid', 'alice'), reference]) {
      let sentBytes = 0;
      const { search } = await answering(t, (socket) => {
        const more = (): void => {
          while (!socket.destroyed && socket.write(message)) sentBytes += message.length;
          socket.once('drain', more);
        };
        more();
      });
      await assert.rejects(search(), { code: 'E_LDAP_PROTOCOL' });
      // What is on its way when the connection is dropped, and no more.
      assert.ok(sentBytes < 32 * 1024 * 1024, `${sentBytes} bytes`);
    }
    const two = [searchEntry(1, 'uid', 'alice'), searchEntry(1, 'uid', 'alice'), ldapResult(1, searchDone, 4)];
    const fitting = await answering(t, (socket) => socket.write(Buffer.concat(two)));
    const { code, entries } = await fitting.search();
    assert.deepEqual([code, entries.length], [4, 2]);
  });

  test('a forged answer ahead of the TLS handshake does not become the answer to the bind', async (t) => {
    const { cert, key } = authority.issue({ names: ['127.0.0.1'] });
    const refusal = ldapResult(2, bindAnswer, 49);
    // "Bind succeeded", whose last field is as long as the refusal that comes through TLS after it.
    const whole = ldapResult(2, bindAnswer, 0, 'x'.repeat(refusal.length));
    const forged = whole.subarray(0, -refusal.length);
    const serve = (ahead: Buffer) =>
      fakeServer(t, (socket) => {
        socket.once('data', () => {
          socket.write(Buffer.concat([ldapResult(1, startTlsAnswer, 0), ahead]));
          const secure = new TLSSocket(socket, { isServer: true, cert, key });
          secure.on('error', () => {});
          secure.once('data', () => secure.write(refusal));
        });
      });
    const honest = await connectLdap(server((await serve(Buffer.alloc(0))).port, 'starttls', authority.cert), wait());
    assert.equal((await honest.bind('cn=x', 'wrong', wait())).code, 49);
    honest.close();
    await assert.rejects(connectLdap(server((await serve(forged)).port, 'starttls', authority.cert), wait()), {
      code: 'E_LDAP_TLS',
    });
  });

  test('StartTLS that is refused, fails or hangs is a fault, and leaves no socket', async (t) => {
    const serves: [(socket: import('node:net').Socket) => void, string][] = [
      [(socket) => socket.write(ldapResult(1, startTlsAnswer, 52, 'not now')), 'E_LDAP_TLS'],
      [
        (socket) => {
          socket.write(ldapResult(1, startTlsAnswer, 0));
          socket.once('data', () => socket.write('garbage, not TLS'));
        },
        'E_LDAP_TLS',
      ],
      [(socket) => socket.end(ldapResult(1, startTlsAnswer, 0)), 'E_LDAP_'],
      [(socket) => socket.write(ldapResult(1, startTlsAnswer, 0)), 'E_LDAP_TIMEOUT'],
      [() => {}, 'E_LDAP_TIMEOUT'],
    ];
    for (const [serve, code] of serves) {
      const fake = await fakeServer(t, (socket) => socket.once('data', () => serve(socket)));
      await assert.rejects(connectLdap(server(fake.port, 'starttls', authority.cert), wait(300)), (error) => {
        assert.ok(error instanceof Fault);
        assert.ok(error.code.startsWith(code), `${error.code} instead of ${code}: ${error.message}`);
        return true;
      });
    }
  });

  test('a handshake that hangs ends with the deadline, or as soon as it is called off', async (t) => {
    const { port, open } = await fakeServer(t, (socket) => socket.resume());
    await assert.rejects(connectLdap(server(port, 'tls', authority.cert), wait(200)), { code: 'E_LDAP_TIMEOUT' });
    const controller = new AbortController();
    const connecting = connectLdap(server(port, 'tls', authority.cert), { ...wait(), signal: controller.signal });
    setImmediate(() => controller.abort());
    await assert.rejects(connecting, { code: 'E_LDAP_CANCELLED' });
    await eventually(5_000, 'the server sees both go', () => open() === 0);
  });

  test('what waits when the connection is closed is told, and the server sees it go', async (t) => {
    let tellGone = (): void => {};
    const gone = new Promise<void>((resolve) => {
      tellGone = resolve;
    });
    const fake = await fakeServer(t, (socket) => {
      socket.resume();
      socket.on('close', tellGone);
    });
    const connection = await connectLdap(server(fake.port), wait());
    const bound = connection.bind('cn=x', 'secret', wait());
    connection.close();
    connection.close();
    await assert.rejects(bound, { code: 'E_LDAP_CLOSED' });
    await assert.rejects(connection.bind('cn=x', 'secret', wait()), { code: 'E_LDAP_CLOSED' });
    await gone;
  });

  test('a search collects entries, also those that come in pieces', async (t) => {
    const attribute = ber(0x30, ber(0x04, Buffer.from('uid')), ber(0x31, ber(0x04, Buffer.from('alice'))));
    const entry = ber(0x64, ber(0x04, Buffer.from('uid=alice,dc=x')), ber(0x30, attribute, attribute));
    const bytes = Buffer.concat([ber(0x30, ber(0x02, [1]), entry), ldapResult(1, 0x65, 0)]);
    const { port } = await fakeServer(t, (socket) => {
      socket.setNoDelay(true);
      socket.once('data', async () => {
        for (const byte of bytes) {
          socket.write(Buffer.from([byte]));
          await new Promise((resolve) => setImmediate(resolve));
        }
      });
    });
    const connection = await connectLdap(server(port), wait());
    const filter = { kind: 'present', attribute: 'uid' } as const;
    const query = { base: 'dc=x', scope: 'sub', filter, attributes: ['uid'], sizeLimit: 2 } as const;
    const { code, entries } = await connection.search(query, wait());
    assert.equal(code, 0);
    assert.deepEqual([entries[0]?.dn, entries[0]?.values('UID')], ['uid=alice,dc=x', ['alice', 'alice']]);
    connection.close();
  });
});
