// `npm run bench:connections`: what a connection costs the broker, by the key of its certificate and with a session that
// is resumed.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { build, ensureNodeModules } from './ensure.mjs';
import { readOptions } from './options.mjs';

const help = `npm run bench:connections -- [--rounds N] [--count N]

Measures the processor time that a connection takes from this broker: TCP, TLS, CONNECT with the right password, its
answer, DISCONNECT; with a certificate of each kind of key, with both side by side, and resumed by a ticket.

  --rounds N   how often each is measured, in turn; the table shows medians (3)
  --count N    connections each time, one after the other (200)

Example: npm run bench:connections -- --rounds 1`;
const options = readOptions({
  help,
  options: { rounds: { type: 'string', default: '3' }, count: { type: 'string', default: '200' } },
  positive: ['rounds', 'count'],
});
const [rounds, count] = [Number(options.rounds), Number(options.count)];

const root = fileURLToPath(new URL('..', import.meta.url));
ensureNodeModules(root);
build(root, 'tsconfig.json');
const { brokers, prepare, start } = await import('../bench/brokers.mjs');
const { cpuMicroseconds } = await import('../bench/process.mjs');
const { connectPacket } = await import('../bench/wire.mjs');
const { makeAuthority } = await import('../dist/listener/certificates.js');

const rsaOnly = { sigalgs: 'rsa_pss_rsae_sha256' };
const cases = [
  { name: 'RSA-2048', kinds: ['rsa'] },
  { name: 'ECDSA P-256', kinds: ['ec'] },
  { name: 'both; the client can check either', kinds: ['rsa', 'ec'] },
  { name: 'both; the client can check RSA alone', kinds: ['rsa', 'ec'], tls: rsaOnly },
  { name: 'RSA-2048, resumed', kinds: ['rsa'], resumed: true },
  { name: 'ECDSA P-256, resumed', kinds: ['ec'], resumed: true },
  { name: 'RSA-2048, TLS 1.2', kinds: ['rsa'], tls: { maxVersion: 'TLSv1.2' } },
  { name: 'RSA-2048, TLS 1.2, resumed', kinds: ['rsa'], tls: { maxVersion: 'TLSv1.2' }, resumed: true },
];

const folder = mkdtempSync(join(tmpdir(), 'iotlab-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
const started = new Map();

/** The broker whose certificates are of these kinds. */
async function brokerWith(kinds) {
  const name = kinds.join('-');
  if (!started.has(name)) {
    const own = join(folder, name);
    mkdirSync(own);
    const { users } = await prepare(own);
    const authority = makeAuthority({ keyType: 'rsa' });
    const issued = kinds.map((keyType) => authority.issue({ keyType }));
    writeFileSync(join(own, 'ca.pem'), authority.cert);
    writeFileSync(join(own, 'server.pem'), issued.map(({ cert }) => cert).join(''));
    writeFileSync(join(own, 'server.key'), issued.map(({ key }) => key).join(''));
    const broker = await start(name, brokers['iotlab-broker'], own);
    started.set(name, { ...broker, users, ca: authority.cert });
  }
  return started.get(name);
}

/** Connects, is answered, and leaves. Resolves with what resumes the session. */
function visit({ port, users, ca }, number, tlsOptions) {
  return new Promise((resolve, reject) => {
    let ticket;
    const socket = tls.connect({ host: '127.0.0.1', port, servername: 'localhost', ca, ...tlsOptions }, () => {
      socket.write(connectPacket(`c${number}`, users[number % users.length]));
    });
    socket.on('session', (session) => {
      ticket = session;
    });
    socket.once('data', (answer) => {
      if (answer[3] !== 0) reject(new Error(`refused with return code ${answer[3]}`));
      const reused = socket.isSessionReused();
      socket.once('close', () => resolve({ ticket, reused }));
      socket.end(Buffer.from([0xe0, 0]));
    });
    socket.once('error', reject);
  });
}

const figures = new Map(cases.map(({ name }) => [name, []]));
for (let round = 0; round < rounds; round += 1) {
  for (const { name, kinds, tls: tlsOptions = {}, resumed = false } of cases) {
    const broker = await brokerWith(kinds);
    const tickets = [];
    for (let number = 0; number < 20; number += 1) tickets.push((await visit(broker, number, tlsOptions)).ticket);
    const before = cpuMicroseconds(broker.pid);
    for (let number = 0; number < count; number += 1) {
      const at = number % tickets.length;
      const { ticket, reused } = await visit(
        broker,
        number,
        resumed ? { ...tlsOptions, session: tickets[at] } : tlsOptions,
      );
      if (reused !== resumed) throw new Error(`${name}: the session was ${reused ? '' : 'not '}resumed`);
      tickets[at] = ticket ?? tickets[at];
    }
    figures.get(name).push((cpuMicroseconds(broker.pid) - before) / count);
  }
}

const medians = cases.map(({ name }) => figures.get(name).sort((a, b) => a - b)[rounds >> 1]);
console.log(`| certificate and client | µs of CPU per connection | of the first |\n| --- | --- | --- |`);
for (const [index, { name }] of cases.entries()) {
  console.log(`| ${name} | ${Math.round(medians[index])} | ${(medians[index] / medians[0]).toFixed(2)} |`);
}
for (const { stop } of started.values()) await stop();
process.exit();
