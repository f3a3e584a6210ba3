import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ClientProcess, type Finished, startClient } from './support/mosquitto-clients.js';
import { freshId, passwordOf } from './support/raw-client.js';
import { useTestBroker } from './support/test-broker.js';

// A user of the testbed follows the documentation, with the very programs that it names.
const broker = useTestBroker({ store: 'folder', users: ['alice', 'bob'] });

/** A home without configuration files. */
let home = '';
before(async () => {
  home = await mkdtemp(join(tmpdir(), 'iotlab-home-'));
});
after(() => rm(home, { recursive: true, force: true }));

const where = () => ['-h', 'localhost', '-p', `${broker.port}`, '--cafile', broker.caFile];
const alice = ['-u', 'alice', '-P', passwordOf('alice')];
const versions = ['mqttv31', 'mqttv311'] as const;

/** mosquitto_sub, once it is subscribed. */
async function subscriber(...args: string[]): Promise<ClientProcess> {
  const client = startClient('mosquitto_sub', [...where(), '-d', ...args], { home });
  await client.line(/^Subscribed/);
  return client;
}

function publish(args: readonly string[], stdin = ''): Promise<Finished> {
  return startClient('mosquitto_pub', [...where(), ...args], { home, stdin }).finished();
}

const published: Finished = { code: 0, stdout: '', stderr: '' };

/** What it printed besides its talk about packets. */
const messages = (client: { stdout: string }): string[] =>
  client.stdout.split('\n').filter((line) => line !== '' && !/^(Client|Subscribed)/.test(line));

for (const version of versions) {
  test(`${version}: subscribe with -u and -P, publish with -m`, async () => {
    const topic = `iotlab/alice/${version}/walk`;
    const sub = await subscriber(...alice, '-V', version, '-t', topic, '-C', '1');
    assert.deepEqual(await publish([...alice, '-V', version, '-t', topic, '-m', 'hello world']), published);
    const { code, stdout } = await sub.finished();
    assert.deepEqual([code, messages({ stdout })], [0, ['hello world']]);
  });

  for (const qos of ['0', '1', '2']) {
    test(`${version}: -l sends each line of a pipe, at QoS ${qos}`, async () => {
      const lines = Array.from({ length: 300 }, (_, index) => `1700000000.${index};m3-1;line ${index} of "text" é`);
      const topic = `iotlab/alice/${version}/lines/${qos}`;
      const sub = await subscriber(...alice, '-V', version, '-q', qos, '-t', topic, '-C', '300');
      const args = [...alice, '-V', version, '-q', qos, '-t', topic, '-l'];
      assert.deepEqual(await publish(args, `${lines.join('\n')}\n`), published);
      assert.deepEqual(messages(await sub.finished()), lines);
    });
  }

  test(`${version}: a retained message waits for who comes later`, async () => {
    const topic = `iotlab/alice/${version}/retained`;
    assert.deepEqual(await publish([...alice, '-V', version, '-t', topic, '-r', '-q', '1', '-m', 'kept']), published);
    const sub = await subscriber(...alice, '-V', version, '-t', topic, '-C', '1', '-F', '%r %p');
    assert.deepEqual(messages(await sub.finished()), ['1 kept']);
    assert.deepEqual(await publish([...alice, '-V', version, '-t', topic, '-r', '-n']), published);
  });

  test(`${version}: the Will of a client that is killed`, async () => {
    const topic = `iotlab/alice/${version}/will`;
    const sub = await subscriber(...alice, '-V', version, '-t', topic, '-C', '1');
    const will = ['--will-topic', topic, '--will-payload', 'gone', '--will-qos', '1'];
    const dying = await subscriber(...alice, '-V', version, '-t', `${topic}/other`, ...will);
    dying.child.kill('SIGKILL');
    assert.deepEqual(messages(await sub.finished()), ['gone']);
  });

  test(`${version}: a persistent session over a restart of the broker`, async () => {
    const topic = `iotlab/alice/${version}/persistent`;
    const session = [...alice, '-V', version, '-c', '-i', freshId('walk'), '-q', '1', '-t', topic];
    const first = await subscriber(...session);
    first.child.kill('SIGTERM');
    await first.finished();
    assert.deepEqual(await publish([...alice, '-q', '1', '-t', topic, '-m', 'before, at 1']), published);
    assert.deepEqual(await publish([...alice, '-q', '2', '-t', topic, '-m', 'before, at 2']), published);
    await broker.restart();
    assert.deepEqual(await publish([...alice, '-q', '1', '-t', topic, '-m', 'after']), published);
    const second = startClient('mosquitto_sub', [...where(), ...session, '-C', '3'], { home });
    assert.deepEqual(messages(await second.finished()), ['before, at 1', 'before, at 2', 'after']);
  });

  for (const [name, credentials] of [
    ['a wrong password', ['-u', 'alice', '-P', 'wrong']],
    ['an empty password', ['-u', 'alice', '-P', '']],
    ['an unknown user', ['-u', 'nobody', '-P', 'x']],
    ['no password', ['-u', 'alice']],
    ['no user name', []],
  ] as const) {
    test(`${version}: ${name}: the line that is printed, and exit code 5`, async () => {
      const common = [...where(), ...credentials, '-V', version, '-t', 'iotlab/alice/x'];
      const line = 'Connection error: Connection Refused: not authorised.\n';
      const sub = await startClient('mosquitto_sub', common, { home }).finished();
      assert.deepEqual(sub, { code: 5, stdout: '', stderr: line });
      const pub = await startClient('mosquitto_pub', [...common, '-m', 'x'], { home }).finished();
      assert.deepEqual([pub.code, pub.stderr.startsWith(line)], [5, true]);
    });
  }

  test(`${version}: a denied subscription: the line that is printed`, async () => {
    const args = [...where(), ...alice, '-V', version, '-t', 'iotlab/bob/x', '-t', '#'];
    const { stderr } = await startClient('mosquitto_sub', args, { home }).finished();
    assert.equal(stderr, 'All subscription requests were denied.\n');
  });

  for (const qos of ['0', '1', '2']) {
    test(`${version}: a denied publish at QoS ${qos} exits with 0`, async () => {
      const args = [...alice, '-V', version, '-q', qos, '-t', 'iotlab/bob/x', '-m', 'x'];
      assert.deepEqual(await publish(args), published);
    });
  }
}

test('with nothing but ~/.config/mosquitto_sub and ~/.config/mosquitto_pub', async () => {
  const configured = await mkdtemp(join(tmpdir(), 'iotlab-home-'));
  try {
    await mkdir(join(configured, '.config'));
    const lines = [
      '-h localhost',
      `-p ${broker.port}`,
      `--cafile ${broker.caFile}`,
      '-u alice',
      `-P ${passwordOf('alice')}`,
    ];
    for (const name of ['mosquitto_sub', 'mosquitto_pub']) {
      await writeFile(join(configured, '.config', name), `${lines.join('\n')}\n`, { mode: 0o600 });
    }
    const options = { home: configured };
    const sub = startClient('mosquitto_sub', ['-d', '-t', 'iotlab/alice/configured', '-C', '3'], options);
    await sub.line(/^Subscribed/);
    const one = startClient('mosquitto_pub', ['-t', 'iotlab/alice/configured', '-m', 'one'], options);
    assert.deepEqual(await one.finished(), published);
    const more = startClient('mosquitto_pub', ['-t', 'iotlab/alice/configured', '-l'], {
      ...options,
      stdin: 'two\n3\n',
    });
    assert.deepEqual(await more.finished(), published);
    assert.deepEqual(messages(await sub.finished()), ['one', 'two', '3']);
  } finally {
    await rm(configured, { recursive: true, force: true });
  }
});

test('a path to the CA that is wrong: the line that is printed', async () => {
  const args = ['-h', 'localhost', '-p', `${broker.port}`, '--cafile', '/nowhere.pem', ...alice, '-t', 'a', '-m', 'x'];
  const { code, stderr } = await startClient('mosquitto_pub', args, { home }).finished();
  assert.equal(code, 1);
  assert.match(stderr, /^Error: Problem setting TLS options/);
});

test('a wrong CA, and no CA at all: no connection, no message', async () => {
  const common = ['-h', 'localhost', '-p', `${broker.port}`, ...alice, '-t', 'iotlab/alice/x', '-m', 'x'];
  const wrong = join(home, 'wrong.pem');
  const { makeAuthority } = await import('../src/listener/certificates.js');
  await writeFile(wrong, makeAuthority().cert);
  const other = await startClient('mosquitto_pub', [...common, '--cafile', wrong], { home }).finished();
  // 1 or 8, after whether the handshake fails within connecting or behind it.
  assert.ok(other.code === 1 || other.code === 8, `exit code ${other.code}`);
  assert.match(other.stderr, /TLS error/);
  const plain = await startClient('mosquitto_pub', common, { home }).finished();
  assert.equal(plain.code, 7);
  assert.match(plain.stderr, /The connection was lost/);
});

test('the brackets of the documentation, copied: denied, and the log says why', async () => {
  const { stderr } = await startClient('mosquitto_sub', [...where(), ...alice, '-t', 'iotlab/<alice>/test'], {
    home,
  }).finished();
  assert.equal(stderr, 'All subscription requests were denied.\n');
  const line = broker.logs.lines().find((each) => JSON.stringify(each).includes('iotlab/<alice>/test'));
  assert.match(JSON.stringify(line), /bracket/i);
});

test('no password of the walk is in the log, at any level', () => {
  const text = broker.logs.text();
  assert.ok(text.includes('alice'));
  for (const secret of [passwordOf('alice'), passwordOf('bob'), 'wrong"', '$6$']) {
    assert.ok(!text.includes(secret), `the log holds ${secret}`);
  }
});
