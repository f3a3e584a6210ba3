// The Docker engine and the compose command, on a machine that has them and on one that has only the script that brings
// them up.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

const works = (command, args) => spawnSync(command, args, { stdio: 'ignore' }).status === 0;

/** Makes sure that an engine runs. Resolves with what ends it again, which does nothing for one that ran already. */
export function ensureEngine(root) {
  if (works('docker', ['info'])) return () => {};
  const script = join(root, '..', 'shared', 'docker-lab', 'up.sh');
  if (!existsSync(script) || process.getuid?.() !== 0) {
    console.error('No Docker engine answers (`docker info` fails), so the images and compose.yaml cannot be tried.');
    console.error('Install and start Docker, or join the group that may use it; then: npm run test:docker');
    process.exit(2);
  }
  console.error(`No Docker engine answers: running ${script} (its first run takes two minutes) …`);
  const { status } = spawnSync('bash', [script], { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) {
    console.error(`${script} failed; what it printed above says why.`);
    process.exit(1);
  }
  const pidFile = join(process.env.DOCKER_LAB_STATE ?? '/var/tmp/docker-lab', 'dockerd.pid');
  return () => {
    try {
      process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGTERM');
    } catch (error) {
      console.error(`The engine could not be stopped (${pidFile}): ${error.message}`);
    }
  };
}

/**
 * Removes what runs that were killed have left: of projects called `prefix`, the id of a process that there is no more,
 * and anything. The network of a cluster has always the same addresses, and would keep them from the next one.
 */
export function removeAbandoned(prefix) {
  const named = (...args) => {
    const { stdout } = spawnSync('docker', [...args, '--filter', `name=${prefix}`], { encoding: 'utf8' });
    return stdout.split('\n').filter((name) => abandonedBy(name, prefix));
  };
  const remove = (names, ...args) => names.length > 0 && spawnSync('docker', [...args, ...names], { stdio: 'ignore' });
  remove(named('ps', '-a', '--format', '{{.Names}}'), 'rm', '-f', '-v');
  remove(named('network', 'ls', '--format', '{{.Name}}'), 'network', 'rm');
  remove(named('volume', 'ls', '--format', '{{.Name}}'), 'volume', 'rm');
}

function abandonedBy(name, prefix) {
  const pid = name.startsWith(prefix) ? Number.parseInt(name.slice(prefix.length), 10) : 0;
  return pid > 0 && !existsSync(`/proc/${pid}`);
}

/** `docker compose`, or the older `docker-compose` where that is what there is. */
export function composeCommand() {
  if (works('docker', ['compose', 'version'])) return 'docker compose';
  if (works('docker-compose', ['version'])) return 'docker-compose';
  console.error('Neither `docker compose` nor `docker-compose` works. Install the compose plugin of Docker.');
  process.exit(2);
}

/** A TCP port of the loopback interface that is free now. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
