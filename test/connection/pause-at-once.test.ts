import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import tls, { TLSSocket } from 'node:tls';
import { pauseAtOnce } from '../../src/connection/pause-at-once.js';
import { makeAuthority } from '../../src/listener/certificates.js';

const authority = makeAuthority({ keyType: 'ec' });
const { cert, key } = authority.issue({ keyType: 'ec' });

interface Pair {
  readonly server: TLSSocket;
  /** Sends each of these in a TLS record of its own, all of them in one go. */
  send(records: readonly Buffer[]): Promise<void>;
  end(): void;
  [Symbol.dispose](): void;
}

/** A TLS connection whose server's side is as the broker has it. */
async function connected(): Promise<Pair> {
  const listener = net.createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const tcp = net.connect((listener.address() as AddressInfo).port, '127.0.0.1');
  const [raw] = (await once(listener, 'connection')) as [net.Socket];
  listener.close();
  const secureContext = tls.createSecureContext({ cert, key });
  const server = new TLSSocket(raw, { isServer: true, secureContext, requestCert: false, rejectUnauthorized: false });
  let held: Buffer[] | null = null;
  const wire = new Duplex({
    read() {},
    write(bytes: Buffer, _, done) {
      if (held === null) tcp.write(bytes, done);
      else {
        held.push(bytes);
        done();
      }
    },
    final: (done) => void tcp.end(done),
  });
  tcp.on('data', (bytes) => wire.push(bytes)).on('end', () => wire.push(null));
  const client = tls.connect({ socket: wire, ca: authority.cert, servername: 'localhost' });
  await Promise.all([once(client, 'secureConnect'), once(server, 'secure')]);
  pauseAtOnce(server);
  return {
    server,
    async send(records) {
      held = [];
      for (const record of records) await new Promise((resolve) => client.write(record, resolve));
      const all = Buffer.concat(held);
      held = null;
      tcp.write(all);
    },
    end: () => client.end(),
    [Symbol.dispose]() {
      client.destroy();
      tcp.destroy();
      server.destroy();
    },
  };
}

const numbered = (count: number) => Array.from({ length: count }, (_, index) => Buffer.from([index % 251]));

test('a paused socket keeps one reading at most, its small records together, and hands out all of it in order', async () => {
  using pair = await connected();
  const { server } = pair;
  const records = numbered(9_000);
  const chunks: Buffer[] = [];
  const received = new Promise<void>((resolve) => {
    let bytes = 0;
    server.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (chunks.length === 10) {
        server.pause();
        // What else one reading has brought, it brings before that.
        setImmediate(() => {
          assert.ok(server.readableLength < 3_000, `${server.readableLength} bytes wait`);
          server.resume();
        });
      }
      if (bytes === records.length) resolve();
    });
  });
  await pair.send(records);
  await received;
  assert.deepEqual(Buffer.concat(chunks), Buffer.concat(records));
  // The two or three thousand of the reading in which it was paused came in pieces of up to 4 KiB.
  assert.ok(chunks.length < records.length - 1_000, `${chunks.length} chunks`);
});

test('the end comes behind what waited', async () => {
  using pair = await connected();
  const { server } = pair;
  let text = '';
  server.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    server.pause();
    setImmediate(() => server.resume());
  });
  const ended = once(server, 'end');
  await pair.send(['a', 'b', 'c'.repeat(2_000), 'd'].map((part) => Buffer.from(part)));
  pair.end();
  await ended;
  assert.equal(text, `ab${'c'.repeat(2_000)}d`);
});

test('pausing and going on at once, again and again, loses nothing', async () => {
  using pair = await connected();
  const { server } = pair;
  const records = Array.from({ length: 300 }, (_, index) => Buffer.alloc(1 + ((index * 37) % 3_000), index % 251));
  const chunks: Buffer[] = [];
  server.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    server.pause();
    server.resume();
    if (chunks.length % 3 === 0) server.pause();
    queueMicrotask(() => server.resume());
  });
  const ended = once(server, 'end');
  await pair.send(records);
  pair.end();
  await ended;
  assert.deepEqual(Buffer.concat(chunks), Buffer.concat(records));
});
