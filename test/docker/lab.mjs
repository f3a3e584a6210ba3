// Where the steps happen: a folder, ports and a project name of their own, and the commands of the page fitted to them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { composeCommand, ensureEngine, freePort, removeAbandoned } from './engine.mjs';
import { openPage } from './page.mjs';
import { shell } from './shell.mjs';

export const root = fileURLToPath(new URL('../..', import.meta.url));
const stopEngine = ensureEngine(root);
const projects = 'iotlab-test-';
removeAbandoned(projects);

export const compose = composeCommand();
export const image = 'iotlab-broker:test';
export const project = `${projects}${process.pid}`;
/** The container and the volume of the broker that runs without the others. */
export const alone = `${project}-alone`;
export const folder = mkdtempSync(join(tmpdir(), 'iotlab-docker-'));
/** What a clone has, of which the steps may change something; they run there. */
export const clone = join(folder, 'clone');
mkdirSync(clone);
const cloned = ['.dockerignore', '.npmrc', 'LICENSE', 'compose.yaml', 'docker', 'package.json', 'package-lock.json'];
for (const name of [...cloned, 'src', 'tsconfig.json'])
  cpSync(join(root, name), join(clone, name), { recursive: true });

export const [mqttPort, sshPort, alonePort] = [await freePort(), await freePort(), await freePort()];
export const [webPort, clusterPort] = [await freePort(), await freePort()];
/** The compose command for config/production. */
export const production = `${compose} -f ${join(root, 'config', 'production', 'compose.yaml')} -p ${project}-production`;
/** The compose command for docker/cluster. */
export const cluster = `IOTLAB_MQTT_PORT=${clusterPort} ${compose} -f ${join(clone, 'docker', 'cluster', 'compose.yaml')} -p ${project}-cluster`;
export const clusterPage = openPage(join(root, 'docs', 'cluster.md'));
export const page = openPage(join(root, 'docs', 'docker.md'));

const env = {
  ...process.env,
  COMPOSE_FILE: join(clone, 'compose.yaml'),
  COMPOSE_PROJECT_NAME: project,
  IOTLAB_TAG: 'test',
  IOTLAB_MQTT_PORT: String(mqttPort),
  IOTLAB_SSH_PORT: String(sshPort),
  IOTLAB_WEB_PORT: String(webPort),
  IOTLAB_VERSION: 'test',
  IOTLAB_TLS: join(folder, 'production', 'tls'),
  IOTLAB_SECRETS: join(folder, 'production', 'secrets'),
  SSH_ASKPASS: join(folder, 'askpass'),
  SSH_ASKPASS_REQUIRE: 'force',
  TERM: 'xterm',
};
writeFileSync(env.SSH_ASKPASS, '#!/bin/sh\nprintf %s "$TEST_PASSWORD"\n', { mode: 0o700 });
writeFileSync(
  join(folder, 'ssh_config'),
  `Host *\nUserKnownHostsFile ${folder}/known_hosts\nStrictHostKeyChecking accept-new\nNumberOfPasswordPrompts 1\n` +
    'ConnectTimeout 10\nLogLevel ERROR\n',
);

/** A command of the page, with this machine's compose command and the ports of this run in it. */
export function documented(line) {
  return page
    .take(line)
    .replaceAll('docker compose', compose)
    .replaceAll('-p 8883 -u', `-p ${mqttPort} -u`)
    .replaceAll('localhost:8443', `localhost:${webPort}`)
    .replaceAll('-p 2222', `-F ${folder}/ssh_config -p ${sshPort}`);
}

export const run = (line, options) => shell(line, { env, cwd: clone, ...options });

/** Its output when it succeeds. */
export async function succeeds(line, options) {
  const { code, output, stdout, timedOut } = await run(line, options);
  assert.equal(code, 0, `${line}\n${timedOut ? 'took too long; ' : ''}it printed at the end:\n${output.slice(-4000)}`);
  return stdout;
}

/** The documented way onto the frontend, with a command behind it; `terminal`: with a terminal, as an editor needs it. */
export const onFrontend = (user, password, command, { terminal = false, ...options } = {}) =>
  run(
    `${documented('ssh -p 2222 alice@localhost')
      .replace('alice', user)
      .replace('ssh ', terminal ? 'ssh -tt ' : 'ssh ')} ${quoted(command)}`,
    { ...options, env: { ...env, TEST_PASSWORD: password } },
  );

export const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** One field of what Docker knows about a service's container, running or not. */
export const inspect = (service, format) =>
  succeeds(
    `docker inspect --format ${quoted(format)} $(docker ps -aq --filter ${ofProject} ` +
      `--filter label=com.docker.compose.service=${service})`,
  );

export const ofProject = `label=com.docker.compose.project=${project}`;

export async function eventually(condition, what, timeoutMs = 30_000) {
  const end = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > end) assert.fail(`not within ${timeoutMs / 1000} s: ${what}`);
    await pause(500);
  }
}

export const healthy = (service) =>
  eventually(async () => (await inspect(service, '{{.State.Health.Status}}')) === 'healthy', `${service} is healthy`);

let cleaned = false;
/** Containers, volumes, networks, files, and the engine if it was started for this. Images stay: they save the next run time. */
export function cleanUp() {
  if (cleaned) return;
  cleaned = true;
  const quiet = { env, cwd: clone, stdio: 'ignore' };
  spawnSync('bash', ['-c', `${compose} down -v --remove-orphans --timeout 5`], quiet);
  spawnSync('bash', ['-c', `${production} down -v --timeout 5`], quiet);
  spawnSync('bash', ['-c', `${cluster} down -v --timeout 5`], quiet);
  spawnSync('bash', ['-c', `docker rm -f -v ${alone}; docker volume rm ${alone}`], quiet);
  rmSync(folder, { recursive: true, force: true });
  stopEngine();
}
