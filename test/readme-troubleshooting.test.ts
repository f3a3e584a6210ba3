import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually } from './support/deadline.js';
import { startClient } from './support/mosquitto-clients.js';
import { openPage, sectionOf, tableRows } from './support/pages.js';
import { passwordOf } from './support/raw-client.js';
import { startTestBroker } from './support/test-broker.js';

// The README's table of troubles, brought about one by one: what mosquitto's clients print and how they exit, what the
// broker logs meanwhile, and that the table has a row that says just that.
let home = '';
before(async () => {
  home = await mkdtemp(join(tmpdir(), 'iotlab-trouble-'));
  await writeFile(join(home, 'no-certificate.pem'), 'no certificate\n');
  await writeFile(join(home, 'large'), Buffer.alloc(5_000, 'x'));
  const { makeAuthority } = await import('../src/listener/certificates.js');
  await writeFile(join(home, 'other-ca.pem'), makeAuthority().cert);
});
after(() => rm(home, { recursive: true, force: true }));

/** Rows as they are read: an empty cell at the left stands for the one above it. */
const rows: { prints: string; exits: string; log: string }[] = [];
for (const [prints = '', exits = '', log = ''] of tableRows(sectionOf(openPage('README.md'), 'Troubleshooting'))) {
  const above = rows.at(-1);
  rows.push(prints === '' && above !== undefined ? { ...above, log } : { prints, exits, log });
}

interface Trouble {
  readonly client?: 'mosquitto_sub' | 'mosquitto_pub';
  /** In the place of `-u alice -P PASSWORD`. */
  readonly credentials?: readonly string[];
  readonly host?: string;
  /** In the place of the broker's own. */
  readonly ca?: string | null;
  readonly more: readonly string[];
  readonly prints: string;
  readonly exits: readonly number[];
  /** What the broker's line has in it, in the README's words; null: there is no line. */
  readonly log: string | null;
}

const refused = 'Connection error: Connection Refused: not authorised.';
const pub = { client: 'mosquitto_pub' } as const;
const filter = ['-t', 'iotlab/alice/test'];
const message = [...filter, '-m', 'x'];

const troubles: Record<string, Trouble> = {
  'a wrong password': {
    credentials: ['-u', 'alice', '-P', 'wrong'],
    ...{ more: filter, prints: refused, exits: [5], log: 'wrong-password' },
  },
  'an unknown user': {
    credentials: ['-u', 'nobody', '-P', 'x'],
    ...{ more: filter, prints: refused, exits: [5], log: 'unknown-user' },
  },
  'no user name': { credentials: [], more: filter, prints: refused, exits: [5], log: 'no-login' },
  'no password': { credentials: ['-u', 'alice'], more: filter, prints: refused, exits: [5], log: 'no-password' },
  'an e-mail address': {
    credentials: ['-u', 'alice@example.org', '-P', 'x'],
    ...{ more: filter, prints: refused, exits: [5], log: 'invalid-login' },
  },
  'a wrong password with MQTT 5': {
    credentials: ['-u', 'alice', '-P', 'wrong'],
    more: [...filter, '-V', 'mqttv5'],
    ...{ prints: 'Connection error: Not authorized', exits: [135], log: 'wrong-password' },
  },
  'a topic of others with MQTT 5': {
    ...{ ...pub, more: ['-t', 'iotlab/bob/x', '-m', 'x', '-q', '1', '-V', 'mqttv5'] },
    ...{ prints: 'Warning: Publish 1 failed: Not authorized.', exits: [0], log: 'publish denied' },
  },
  'a filter of others': {
    more: ['-t', 'iotlab/bob/#'],
    ...{ prints: 'All subscription requests were denied.', exits: [0], log: 'subscription denied' },
  },
  'the brackets of the documentation': {
    more: ['-t', 'iotlab/<alice>/#'],
    ...{
      prints: 'All subscription requests were denied.',
      exits: [0],
      log: 'is meant to be replaced, brackets included:',
    },
  },
  'a topic of others': {
    ...pub,
    ...{ more: ['-t', 'iotlab/bob/x', '-m', 'x', '-q', '1'], prints: '', exits: [0], log: 'publish denied' },
  },
  'another CA': {
    ca: 'other-ca.pem',
    ...{
      more: filter,
      prints: 'A TLS error occurred.',
      exits: [8, 1],
      log: 'the client does not trust the certificate;',
    },
  },
  'a name that is not in the certificate': {
    // For the resolver 127.0.0.1, and for the certificate a name.
    host: '127.1',
    ...{ more: filter, prints: 'A TLS error occurred.', exits: [8, 1] },
    log: 'the client gave up; mosquitto clients do so when the certificate does not hold the name they connect to',
  },
  'no file with the CA': {
    ca: 'nowhere.pem',
    ...{ more: filter, prints: 'Error: Problem setting TLS options: File not found.', exits: [1], log: null },
  },
  'a file that is no certificate': {
    ca: 'no-certificate.pem',
    ...{ more: filter, prints: 'Unable to connect (A TLS error occurred.).', exits: [1], log: null },
  },
  'no TLS': {
    ...{ ...pub, ca: null, more: message, prints: 'Error: The connection was lost.', exits: [7] },
    log: 'MQTT without TLS; clients must use TLS (mosquitto_sub --cafile FILE)',
  },
  'a packet that is too large': {
    ...{ ...pub, more: [...filter, '-q', '1', '-f', 'large'], prints: 'Error: The connection was lost.', exits: [7] },
    log: 'protocol-error',
  },
};

for (const [name, trouble] of Object.entries(troubles)) {
  test(`${name}: printed, logged and in the table`, async () => {
    // One for each, since lines of one kind and address are written once a minute.
    await using broker = await startTestBroker({ users: ['alice'], config: { limits: { packetBytes: 2_048 } } });
    const { client = 'mosquitto_sub', credentials, ca = broker.caFile, host = 'localhost' } = trouble;
    const { code, stderr } = await startClient(
      client,
      [
        ...['-h', host, '-p', `${broker.port}`, ...(ca === null ? [] : ['--cafile', ca])],
        ...(credentials ?? ['-u', 'alice', '-P', passwordOf('alice')]),
        ...trouble.more,
      ],
      { home },
    ).finished();
    assert.ok(trouble.exits.includes(Number(code)), `${client} exited with ${code}: ${stderr}`);
    if (trouble.prints === '') assert.equal(stderr, '');
    assert.ok(stderr.includes(trouble.prints), stderr);
    if (trouble.log !== null) {
      const { log } = trouble;
      await eventually(5_000, `a log line with ${log}`, () => broker.logs.text().includes(log));
    }
    const described = rows.filter(
      ({ prints, exits, log }) =>
        (trouble.prints === '' ? prints.startsWith('nothing') : prints.includes(trouble.prints)) &&
        trouble.exits.every((exit) => `${prints} ${exits}`.includes(`${exit}`)) &&
        (trouble.log === null ? log.startsWith('nothing') : log.includes(trouble.log)),
    );
    assert.notDeepEqual(described, [], 'the README has no row for it');
  });
}
