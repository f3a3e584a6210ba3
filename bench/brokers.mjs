// The brokers under comparison, each started the same way: TLS only with the same RSA-2048 certificate, the same users
// file (mosquitto's `$7$` hashes, which both read) and the same rule of access.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Certificates and users in `folder`. Resolves with what clients need. */
export async function prepare(folder, userCount = 100) {
  const { makeAuthority } = await import(join(root, 'dist', 'listener', 'certificates.js'));
  const authority = makeAuthority({ keyType: 'rsa' });
  const { cert, key } = authority.issue({ keyType: 'rsa' });
  writeFileSync(join(folder, 'ca.pem'), authority.cert);
  writeFileSync(join(folder, 'server.pem'), cert);
  writeFileSync(join(folder, 'server.key'), key, { mode: 0o600 });
  const users = Array.from({ length: userCount }, (_, index) => ({ login: `user${index}`, password: `pw${index}` }));
  const lines = users.map(({ login, password }) => {
    const salt = randomBytes(12);
    const hash = pbkdf2Sync(password, salt, 101, 64, 'sha512');
    return `${login}:$7$101$${salt.toString('base64')}$${hash.toString('base64')}\n`;
  });
  writeFileSync(join(folder, 'users'), lines.join(''), { mode: 0o600 });
  return { ca: authority.cert, users };
}

export const onPath = (command) =>
  [...process.env.PATH.split(delimiter), '/usr/sbin', '/sbin']
    .map((directory) => join(directory, command))
    .find((file) => existsSync(file));

/** This broker as it is in `tree`, built, with `more` lines in its configuration. It collects its garbage when it is asked to: see collect.mjs. */
export const builtIn = (tree, more = []) => ({
  version: () => JSON.parse(readFileSync(join(tree, 'package.json'), 'utf8')).version,
  collects: true,
  command(folder, port) {
    const config = join(folder, `broker-${port}.yaml`);
    writeFileSync(
      config,
      [
        `listener: { host: 127.0.0.1, port: ${port}, cert: server.pem, key: server.key, ca: ca.pem }`,
        'credentials: { file: { path: users } }',
        `storage: { path: store-${port} }`,
        'admin: { port: 0 }',
        'log: { format: json }',
        ...more,
        '',
      ].join('\n'),
    );
    const collecting = ['--expose-gc', '--import', new URL('collect.mjs', import.meta.url).href];
    return [process.execPath, ...collecting, join(tree, 'dist', 'main.js'), 'serve', '--config', config];
  },
});

export const brokers = {
  'iotlab-broker': builtIn(root),
  mosquitto: {
    // It exits with 3 after its help.
    version: () => /version (\S+)/.exec(spawnSync(onPath('mosquitto'), ['-h'], { encoding: 'utf8' }).stdout)?.[1],
    command(folder, port) {
      writeFileSync(join(folder, 'acl'), 'pattern readwrite iotlab/%u/#\n');
      const config = join(folder, 'mosquitto.conf');
      writeFileSync(
        config,
        [
          'allow_anonymous false',
          `password_file ${join(folder, 'users')}`,
          `acl_file ${join(folder, 'acl')}`,
          `listener ${port} 127.0.0.1`,
          `cafile ${join(folder, 'ca.pem')}`,
          `certfile ${join(folder, 'server.pem')}`,
          `keyfile ${join(folder, 'server.key')}`,
          // The default drops what a subscriber is behind by a thousand; the load must not be measured by its losses.
          'max_queued_messages 0',
          `user ${execFileSync('id', ['-un'], { encoding: 'utf8' }).trim()}`,
          '',
        ].join('\n'),
      );
      return [onPath('mosquitto'), '-c', config];
    },
  },
};

/** The least that Node.js can do: see floor.mjs. */
export const floor = {
  version: () => 'of Node.js',
  command: (folder, port) => [
    ...[process.execPath, fileURLToPath(new URL('floor.mjs', import.meta.url)), `${port}`],
    ...[join(folder, 'server.pem'), join(folder, 'server.key')],
  ],
};

/** Those that run: a measurement that fails leaves none behind. */
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts one and resolves, when it listens, with its pid, its port and the way to stop it. Several may run at once. */
export async function start(name, broker, folder) {
  const port = await freePort();
  const [command, ...args] = broker.command(folder, port);
  const log = join(folder, `${name.replaceAll('/', '-')}.log`);
  const output = openSync(log, 'w');
  const child = spawn(command, args, { stdio: ['ignore', output, output] });
  running.add(child);
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.once('exit', () => running.delete(child));
  for (let turn = 0; ; turn += 1) {
    if (await listens(port)) break;
    if (child.exitCode !== null || turn === 200) {
      child.kill('SIGKILL');
      throw new Error(`${name} does not start:\n${readFileSync(log, 'utf8')}`);
    }
    await sleep(50);
  }
  return {
    pid: child.pid,
    port,
    collects: broker.collects === true,
    async stop() {
      child.kill();
      await Promise.race([gone, sleep(15_000)]);
      child.kill('SIGKILL');
    },
  };
}

export async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const listens = (port) =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
