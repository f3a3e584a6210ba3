import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { makeAuthority } from '../src/listener/certificates.js';
import { eventually, within } from './support/deadline.js';
import { namedBlocks } from './support/doc-blocks.js';
import { canConnect } from './support/mosquitto.js';
import { type ClientProcess, startClient } from './support/mosquitto-clients.js';
import { openPage, sectionOf, tableRows } from './support/pages.js';
import { freePort } from './support/ports.js';
import { passwordOf, RawClient } from './support/raw-client.js';
import { TcpProxy } from './support/tcp-proxy.js';
import { useTestBroker } from './support/test-broker.js';

// docs/bridge.md, with a mosquitto that bridges: its files and its commands as they stand there.
const broker = useTestBroker({ store: 'folder', users: ['alice', 'benoit'] });
const page = openPage('docs/bridge.md');
const commands = [...page.text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = '']) => block.trim().split('\n'));
const state = commandWith('$SYS');
const fromLab = { sub: commandWith("-t 'iotlab/alice/lab/#'"), pub: commandWith('measurements') };
const toLab = { sub: commandWith("-t 'lab/#'"), pub: commandWith('commands/led') };

let folder = '';
let labPort = 0;
/** Ended after each test. */
const running: ClientProcess[] = [];
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'iotlab-bridge-'));
  labPort = await freePort();
});
afterEach(() => {
  for (const { child } of running.splice(0)) child.kill();
});
after(() => rm(folder, { recursive: true, force: true }));

function commandWith(words: string): string {
  const found = commands.filter((line) => line.includes(words));
  assert.equal(found.length, 1, `one command of the page has ${words}`);
  return found[0]!;
}

/** A file of the page, with what is this machine's own filled in. */
async function fileOf(names: readonly string[], port: number): Promise<string> {
  const blocks = await namedBlocks(page.file);
  return names
    .map((name) => blocks.get(name)!)
    .join('')
    .replaceAll('mqtt.iot-lab.info:8883', `localhost:${port}`)
    .replaceAll('/etc/mosquitto/certs/iot-lab-ca.pem', broker.caFile)
    .replaceAll('<password>', passwordOf('alice'))
    .replaceAll('<password of benoit>', passwordOf('benoit'))
    .replace('listener 1883', `listener ${labPort}`);
}

/** A lab's mosquitto, as Debian sets it up, with the given files besides. */
async function startLab(files: readonly string[], port = broker.port, change = (text: string) => text) {
  const conf = join(folder, 'mosquitto.conf');
  // Reconnecting at once is not what a lab wants, but a test.
  const own = `user root\npersistence true\npersistence_location ${folder}/\nlog_type all\n`;
  await writeFile(conf, `${own}${change(await fileOf(files, port))}restart_timeout 1\n`);
  const child = spawn('mosquitto', ['-c', conf], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += String(text)));
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await eventually(5_000, 'the lab listens', () => canConnect(labPort));
  const stop = async () => {
    child.kill();
    await within(5_000, 'the end of mosquitto', gone);
  };
  return { said: () => said, stop, [Symbol.asyncDispose]: stop };
}

/** Runs a command of the page, or one of the test's own, with this machine's ports. */
function run(line: string, more = ''): ClientProcess {
  const own = line
    .replace(
      '--cafile iot-lab-ca.pem -h mqtt.iot-lab.info -p 8883',
      `--cafile ${broker.caFile} -h localhost -p ${broker.port}`,
    )
    .replace(/-h localhost (?=-t)/, `-h localhost -p ${labPort} `)
    .replace('<password>', passwordOf('alice'));
  return startClient('sh', ['-c', `exec ${own}${more}`], { home: folder });
}

async function subscriber(line: string, more = ''): Promise<ClientProcess> {
  const client = run(line, ` -d -F '%t %p %r'${more}`);
  running.push(client);
  await client.line(/^Subscribed/);
  return client;
}

async function succeeds(client: ClientProcess): Promise<string> {
  const { code, stdout, stderr } = await client.finished();
  assert.deepEqual([code, stderr], [0, '']);
  return stdout;
}

const messages = (client: { readonly lines: readonly string[] }) =>
  client.lines.filter((line) => /^(lab|alice|benoit|iotlab)\//.test(line));

const lineIsUp = () => eventually(10_000, 'the line is up', async () => (await succeeds(run(state))) === '1\n');

test('the files and the commands that make them safe are those of Debian', async () => {
  assert.deepEqual(
    [...(await namedBlocks(page.file)).keys()],
    ['iotlab.conf', 'several.conf', 'lab-network.conf', 'version.conf'],
  );
  const others = commands.filter((line) => ![state, ...Object.values(fromLab), ...Object.values(toLab)].includes(line));
  assert.deepEqual(
    others.map((line) => line.split(' ').slice(0, 2).join(' ')),
    ['sudo chown', 'sudo chmod', 'sudo systemctl'],
  );
});

const versions: [protocol: string, change?: (text: string) => string][] = [
  ['3.1.1 bridge'],
  ['5', (text) => `${text}${/^bridge_protocol_version mqttv50$/m.exec(page.text)?.[0]}\n`],
];
for (const [protocol, change] of versions)
  test(`MQTT ${protocol}: measurements go out, commands come in, what is shared goes both ways, each once and with its retain flag`, async () => {
    broker.logs.clear();
    await using lab = await startLab(['lab-network.conf', 'iotlab.conf'], broker.port, change);
    await lineIsUp();
    assert.doesNotMatch(lab.said(), /refused|error/i);
    const { client } = broker.logs.lines().find((line) => line.msg === 'connected' && line.protocol === protocol) ?? {};
    assert.equal(client, 'lab');

    const [remote, local] = [await subscriber(fromLab.sub), await subscriber(toLab.sub)];
    await succeeds(run(fromLab.pub));
    await remote.line(/^iotlab\/alice\/lab\/measurements\/temperature 21\.5 0$/);
    await succeeds(run(toLab.pub));
    await local.line(/^lab\/commands\/led on 0$/);
    await succeeds(run(fromLab.pub.replace('measurements/temperature', 'shared/door'), ' -q 1 -r'));
    await remote.line(/shared\/door/);
    await succeeds(run(toLab.pub.replace('commands/led', 'shared/lamp'), ' -q 1 -r'));
    await local.line(/shared\/lamp/);
    // Whatever would still come back comes before this.
    await succeeds(run(toLab.pub.replace('-m on', '-m last')));
    await local.line(/^lab\/commands\/led last 0$/);
    await succeeds(run(fromLab.pub.replace('21.5', 'last')));
    await remote.line(/temperature last/);
    await local.line(/temperature last/);
    assert.deepEqual(messages(local).sort(), [
      'lab/commands/led last 0',
      'lab/commands/led on 0',
      'lab/measurements/temperature 21.5 0',
      'lab/measurements/temperature last 0',
      'lab/shared/door 21.5 0',
      'lab/shared/lamp on 0',
    ]);
    assert.deepEqual(
      messages(remote).sort(),
      messages(local)
        .map((line) => `iotlab/alice/${line}`)
        .sort(),
    );

    // Retained on one side is retained on the other, and deleted with it.
    const kept = [
      await subscriber(fromLab.sub.replace('lab/#', 'lab/shared/+'), ' -C 2 -W 10'),
      await subscriber(toLab.sub.replace('lab/#', 'lab/shared/+'), ' -C 2 -W 10'),
    ];
    for (const client of kept) {
      await client.finished();
      assert.deepEqual(
        messages(client)
          .map((line) => line.replace('iotlab/alice/', ''))
          .sort(),
        ['lab/shared/door 21.5 1', 'lab/shared/lamp on 1'],
      );
    }
    await succeeds(run(toLab.pub.replace('commands/led -m on', 'shared/lamp -n -r')));
    await succeeds(run(fromLab.pub.replace('measurements/temperature -m 21.5', 'shared/door -n -r')));
    const { retained } = broker.parts().store;
    await eventually(5_000, 'the retained messages are gone', () => retained.size === 0);
    assert.ok(!broker.logs.lines().some(({ msg }) => msg === 'publish denied' || msg === 'subscription denied'));
  });

test('what is sent while the line is down arrives when it is up again, in order', async (t) => {
  const line = await TcpProxy.start(broker.port);
  t.after(() => line.stop());
  await using _ = await startLab(['lab-network.conf', 'iotlab.conf'], line.port);
  await lineIsUp();
  const [remote, local] = [await subscriber(fromLab.sub, ' -q 1'), await subscriber(toLab.sub, ' -q 1')];
  line.mischief = { kind: 'cut', afterBytes: 0 };
  line.dropAll();
  await eventually(10_000, 'the line is down', async () => (await succeeds(run(state))) === '0\n');
  for (const text of ['1', '2', '3']) {
    await succeeds(run(toLab.pub.replace('-m on', `-m ${text} -q 1`)));
    await succeeds(run(fromLab.pub.replace('-m 21.5', `-m ${text} -q 1`)));
  }
  line.mischief = { kind: 'none' };
  await local.line(/led 3/, 20_000);
  await remote.line(/temperature 3/, 20_000);
  const inLab = messages(local).filter((text) => text.startsWith('lab/commands'));
  assert.deepEqual(
    inLab,
    [1, 2, 3].map((n) => `lab/commands/led ${n} 0`),
  );
  assert.deepEqual(
    messages(remote).filter((text) => /measurements/.test(text)),
    [1, 2, 3].map((n) => `iotlab/alice/lab/measurements/temperature ${n} 0`),
  );
});

test('several logins, each with a branch of its own', async () => {
  await using lab = await startLab(['lab-network.conf', 'several.conf']);
  await broker.logs.waitFor(/^connected$/);
  const local = await subscriber(toLab.sub.replace('lab/#', '#'));
  await eventually(10_000, 'both lines are up', () => lab.said().split('Received SUBACK').length > 2);
  await succeeds(run(toLab.pub.replace('alice/lab', 'alice')));
  const asBenoit = toLab.pub.replaceAll('alice', 'benoit').replace('<password>', passwordOf('benoit'));
  await succeeds(run(asBenoit.replace('benoit/lab', 'benoit')));
  await local.line(/^alice\/commands\/led on 0$/);
  await local.line(/^benoit\/commands\/led on 0$/);
});

/** How each row of the page's table is brought about. */
const mistakes: Record<string, (text: string) => string> = {
  'login and password': (text) => text.replace(passwordOf('alice'), 'wrong'),
  'the file behind': (text) => text.replace(/(?<=bridge_cafile ).*/, join(folder, 'other.pem')),
  'must be a name of': (text) => text.replace('address localhost', 'address 127.1'),
  'what stands before the topics': (text) => text.replaceAll('iotlab/alice/', 'iotlab/benoit/'),
  'for topics below `$SYS`': (text) => text.replace('notifications_local_only true', ''),
  'with the same `remote_clientid`': (text) => text,
};

test('what the page says about mistakes is what both brokers say', async () => {
  await writeFile(join(folder, 'other.pem'), makeAuthority().cert);
  const rows = tableRows(sectionOf(page, 'When it does not work'));
  assert.equal(rows.length, Object.keys(mistakes).length);
  for (const [bridgeSays = '', brokerSays = '', remedy = ''] of rows) {
    const mistake = Object.entries(mistakes).find(([words]) => remedy.includes(words))?.[1];
    assert.ok(mistake, remedy);
    broker.logs.clear();
    await using lab = await startLab(['lab-network.conf', 'iotlab.conf'], broker.port, mistake);
    if (brokerSays.includes('taken-over')) {
      await lineIsUp();
      await using again = await RawClient.connect(broker, { clientId: 'lab' });
      await again.closed(10_000);
    }
    await says('mosquitto', lab.said, bridgeSays);
    await says('the broker', broker.logs.text, brokerSays);
  }
});

/** Waits until everything between backticks, but for what `…` stands for, has been said. */
async function says(who: string, said: () => string, expected: string): Promise<void> {
  const parts = [...expected.matchAll(/`([^`]+)`/g)].flatMap(([, line = '']) => line.split('…').map((it) => it.trim()));
  const missing = () => parts.filter((part) => !said().includes(part));
  await eventually(10_000, `all of ${expected}`, () => missing().length === 0).catch((error) => {
    throw new Error(`${error.message}; ${who} did not say ${missing().join(', ')}, but:\n${said()}`);
  });
}
