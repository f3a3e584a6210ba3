import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { packageFolder } from '../../src/config/package-folder.js';
import { tempFolder } from '../support/temp-folder.js';

const main = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const deadline = { timeout: 60_000 };

/** Settings for a broker that leaves nothing outside its folder and takes any free port. */
const settings = [
  'listener: { port: 0, cert: certs/server.pem, key: certs/server.key, ca: certs/iot-lab-ca.pem }',
  'credentials: { file: { path: data/users } }',
  'storage: { path: data/store }',
  'admin: { port: 0 }',
];

async function folderWith(t: TestContext, lines: readonly string[] = settings): Promise<string> {
  const folder = await tempFolder(t);
  await writeFile(join(folder, 'broker.yaml'), lines.join('\n'));
  return folder;
}

interface Run {
  readonly process: ChildProcess;
  /** Resolves with the first part of standard output or error that matches. */
  printed(pattern: RegExp): Promise<RegExpExecArray>;
  out(): string;
  err(): string;
  readonly left: Promise<number | null>;
}

/** A process group of its own, as a terminal makes one, so that nothing it started outlives the test. */
function run(t: TestContext, command: string, args: readonly string[], cwd: string): Run {
  const child = spawn(command, args, { cwd, stdio: 'pipe', detached: true });
  t.after(() => signalGroup(child, 'SIGKILL'));
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => {
    out += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    err += String(chunk);
  });
  const left = once(child, 'close').then(([code]) => code as number | null);
  const ended = left.then(() => true);
  const printed = async (pattern: RegExp) => {
    for (let over = false; ; ) {
      const match = pattern.exec(`${out}${err}`);
      if (match !== null) return match;
      if (over) assert.fail(`never printed ${pattern}:\n${out}\n${err}`);
      const more = [child.stdout, child.stderr].map((stream) => once(stream, 'data').then(() => false));
      over = await Promise.race([...more, ended]);
    }
  };
  return { process: child, printed, out: () => out, err: () => err, left };
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid!, signal);
  } catch {
    // Nobody of it is left.
  }
}

const serve = (t: TestContext, folder: string) =>
  run(t, process.execPath, [main, 'serve', '--config', join(folder, 'broker.yaml')], folder);

/** The same on a terminal of its own. */
const serveOnTerminal = (t: TestContext, folder: string) => {
  const line = [process.execPath, main, 'serve', '--config', join(folder, 'broker.yaml')].map((word) => `'${word}'`);
  return run(t, 'script', ['-qefc', `exec ${line.join(' ')}`, '/dev/null'], folder);
};

const controlC = '\u0003';

/** What the log says, when there is nothing else on standard output. */
const logOf = (broker: Run) =>
  broker
    .out()
    .trimEnd()
    .split('\n')
    .map((line): Record<string, unknown> => JSON.parse(line));

/** With the password of the first user's file. */
async function publish(t: TestContext, folder: string, broker: Run, login: string): Promise<Run> {
  const port = logOf(broker).find(({ msg }) => msg === 'broker started')!.port;
  const where = `--cafile '${join(folder, 'certs/iot-lab-ca.pem')}' -h localhost -p ${port}`;
  const who = `-u ${login} -P "$(cat '${join(folder, 'data/users.first-password')}')"`;
  return run(t, '/bin/sh', ['-c', `mosquitto_pub ${where} ${who} -t iotlab/${login}/test -m hello -q 1`], folder);
}

/** The printed line, in a shell, as somebody would paste it. */
const paste = (t: TestContext, line: string, folder: string) => run(t, '/bin/sh', ['-c', `exec ${line}`], folder);

describe('iotlab-broker serve', { concurrency: 2 }, () => {
  test(
    'first start on a terminal: certificates, a user, and printed lines that work; a later one: nothing new, no password',
    deadline,
    async (t) => {
      const folder = await folderWith(t);
      const broker = serveOnTerminal(t, folder);
      const [, sub] = await broker.printed(/^ {2}(mosquitto_sub .*)$/m);
      const [, pub] = await broker.printed(/^ {2}(mosquitto_pub .*)$/m);
      const [, password] = await broker.printed(/^Made a first user: login \w+, password (\S+)$/m);
      assert.equal((await stat(join(folder, 'certs/server.key'))).mode & 0o777, 0o600);

      // Retained, because a subscriber whose output is a pipe does not say in time that it is there.
      const publisher = paste(t, `${pub} -r`, folder);
      assert.equal(await publisher.left, 0, publisher.err());
      const subscriber = paste(t, `${sub} -C 1`, folder);
      assert.equal(await subscriber.left, 0, subscriber.err());
      assert.equal(subscriber.out(), 'Hello, world!\n');

      broker.process.stdin!.write(controlC);
      assert.equal(await broker.left, 0);
      const hash = (await readFile(join(folder, 'data/users'), 'utf8')).split(':')[1]!.trim();
      assert.ok(!broker.out().includes(hash));
      const log = broker.out().split('\n');
      assert.equal(log.filter((line) => line.includes('INFO') && line.includes(password!)).length, 0);
      assert.deepEqual((await readdir(join(folder, 'data'))).sort(), ['store', 'users']);

      const [, login] = /Made a first user: login (\w+),/.exec(broker.out())!;
      const ca = await readFile(join(folder, 'certs/iot-lab-ca.pem'), 'utf8');
      const second = serveOnTerminal(t, folder);
      const [, laterPub] = await second.printed(/^ {2}(mosquitto_pub .*)$/m);
      assert.ok(laterPub!.includes(`-u ${login} -P '…your password…' -t iotlab/${login}/test`), laterPub);
      assert.ok(!second.out().includes('Made a first user'));
      second.process.stdin!.write(controlC);
      assert.equal(await second.left, 0);
      assert.equal(await readFile(join(folder, 'certs/iot-lab-ca.pem'), 'utf8'), ca);
    },
  );

  test('without a terminal there is JSON and nothing else, and a file with the password', deadline, async (t) => {
    const folder = await folderWith(t);
    const broker = serve(t, folder);
    await broker.printed(/broker started/);
    const line = logOf(broker).find(({ msg }) => String(msg).startsWith('made a first user'));
    const { login, passwordFile } = line as { login: string; passwordFile: string };
    assert.equal(passwordFile, join(folder, 'data/users.first-password'));
    assert.equal((await stat(passwordFile)).mode & 0o777, 0o600);
    assert.equal(await (await publish(t, folder, broker, login)).left, 0);

    broker.process.kill('SIGTERM');
    assert.equal(await broker.left, 0);
    const password = (await readFile(passwordFile, 'utf8')).trim();
    assert.ok(!(broker.out() + broker.err()).includes(password), 'the password is in the output');
    assert.doesNotMatch(broker.out() + broker.err(), /mosquitto_/);
    assert.ok(logOf(broker).length > 3);
    assert.equal(broker.err(), '');
  });

  test(
    'npm start: SIGTERM to npm, and a Ctrl-C that npm and the broker both get, stop it in order',
    deadline,
    async (t) => {
      const folder = await folderWith(t);
      const args = ['start', '--silent', '--', '--config', join(folder, 'broker.yaml')];
      for (const stop of [
        (npm: Run) => npm.process.kill('SIGTERM'),
        (npm: Run) => signalGroup(npm.process, 'SIGINT'),
      ]) {
        const npm = run(t, 'npm', args, packageFolder());
        await npm.printed(/broker started/);
        stop(npm);
        assert.equal(await npm.left, 0, npm.err());
        assert.match(npm.out(), /"msg":"broker stopped"/);
      }
    },
  );

  test('what the operator can mend is one line on standard error and exit code 2', deadline, async (t) => {
    const taken = createServer().listen(0);
    await once(taken, 'listening');
    t.after(() => taken.close());
    const { port } = taken.address() as AddressInfo;
    const [listener, ...others] = settings;

    const inUse = serve(t, await folderWith(t, [listener!.replace('port: 0', `port: ${port}`), ...others]));
    assert.equal(await inUse.left, 2);
    // The password is not lost with the start.
    const made = logOf(inUse).find(({ msg }) => String(msg).startsWith('made a first user'));
    assert.match(await readFile(String(made?.passwordFile), 'utf8'), /^\w{20}\n$/);
    assert.match(inUse.err(), new RegExp(`^iotlab-broker: .*listener\\.port.*${port}.*\n$`));

    const wrongKey = serve(t, await folderWith(t, [...settings, 'limts: {}']));
    assert.equal(await wrongKey.left, 2);
    assert.match(wrongKey.err(), /^iotlab-broker: .*broker\.yaml:5: limts: unknown key; did you mean limits\?\n$/);
    assert.equal(wrongKey.out(), '');

    const folder = await folderWith(t);
    const holder = serve(t, folder);
    await holder.printed(/broker started/);
    const second = serve(t, folder);
    assert.equal(await second.left, 2, second.err());
    assert.match(second.err(), /^iotlab-broker: .*storage\.path.*\n$/);
    await writeFile(join(folder, 'certs/server.key'), 'no key');
    const unreadable = serve(t, folder);
    assert.equal(await unreadable.left, 2, unreadable.err());
    assert.match(unreadable.err(), /^iotlab-broker: [^\n]*(server\.key|storage\.path)[^\n]*\n$/);
    holder.process.kill('SIGTERM');
    assert.equal(await holder.left, 0);
  });

  test('SIGUSR1 opens no debugger, and --inspect on purpose still does', deadline, async (t) => {
    const folder = await folderWith(t);
    const broker = serve(t, folder);
    await broker.printed(/broker started/);
    broker.process.kill('SIGUSR1');
    // Signals are handled in order, and a debugger says so before the process is gone.
    broker.process.kill('SIGHUP');
    await broker.printed(/SIGHUP: reloading/);
    await assert.rejects(fetch('http://127.0.0.1:9229/json/version'));
    broker.process.kill('SIGTERM');
    assert.equal(await broker.left, 0);
    assert.equal(broker.err(), '');
    const inspected = run(t, process.execPath, ['--inspect=127.0.0.1:0', main, '--version'], folder);
    await inspected.printed(/Debugger listening/);
    assert.equal(await inspected.left, 0);
  });

  test('a reader of the output that leaves does not take the broker with it', deadline, async (t) => {
    const folder = await folderWith(t);
    const broker = serve(t, folder);
    await broker.printed(/broker started/);
    const { login } = logOf(broker).find(({ msg }) => String(msg).startsWith('made a first user'))!;
    broker.process.stdout?.destroy();
    for (let i = 0; i < 3; i += 1) assert.equal(await (await publish(t, folder, broker, String(login))).left, 0);
    broker.process.kill('SIGTERM');
    assert.equal(await broker.left, 0);
  });

  test('a reader of a command that has read enough is no failure', deadline, async (t) => {
    const piped = run(t, '/bin/sh', ['-c', `"${process.execPath}" "${main}" config reference | head -n 1`], tmpdir());
    assert.equal(await piped.left, 0);
    assert.deepEqual([piped.err(), piped.out().split('\n').length], ['', 2]);
  });
});
