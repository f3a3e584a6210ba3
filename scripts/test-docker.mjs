// `npm run test:docker`: builds the images and walks docs/docker.md with real ssh and real mosquitto clients, every
// command as it stands there. Needs Docker; see docker-engine.mjs for a machine that has none. Prints a line per step.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { composeCommand, ensureEngine, freePort, shell } from './docker-engine.mjs';
import { ensureDebianPackages } from './ensure.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
ensureDebianPackages({ mosquitto_sub: 'mosquitto-clients', ssh: 'openssh-client' });
const stopEngine = ensureEngine(root);
const compose = composeCommand();

const project = `iotlab-test-${process.pid}`;
const alone = `${project}-alone`;
const image = 'iotlab-broker:test';
const folder = mkdtempSync(join(tmpdir(), 'iotlab-docker-'));
const [mqttPort, sshPort, alonePort] = [await freePort(), await freePort(), await freePort()];
const env = {
  ...process.env,
  COMPOSE_FILE: join(root, 'compose.yaml'),
  COMPOSE_PROJECT_NAME: project,
  IOTLAB_TAG: 'test',
  IOTLAB_MQTT_PORT: String(mqttPort),
  IOTLAB_SSH_PORT: String(sshPort),
  SSH_ASKPASS: join(folder, 'askpass'),
  SSH_ASKPASS_REQUIRE: 'force',
};
writeFileSync(join(folder, 'askpass'), '#!/bin/sh\nprintf %s "$TEST_PASSWORD"\n', { mode: 0o700 });
writeFileSync(
  join(folder, 'ssh_config'),
  `Host *\nUserKnownHostsFile ${folder}/known_hosts\nStrictHostKeyChecking accept-new\nNumberOfPasswordPrompts 1\n` +
    'ConnectTimeout 10\nLogLevel ERROR\n',
);

// ---- the page and its commands

const page = readFileSync(join(root, 'docs', 'docker.md'), 'utf8');
const commandsOf = (text) =>
  [...text.matchAll(/^ *```sh\n(.*?)^ *```/gms)]
    .flatMap(([, block]) => block.split('\n'))
    .map((line) => line.replace(/ +#.*/, '').trim())
    .filter((line) => line !== '');
const unused = new Set(commandsOf(page));

/** A command of the page, with this machine's compose command, ports and names in it. */
function documented(line) {
  assert.ok(commandsOf(page).includes(line), `docs/docker.md does not have the command: ${line}`);
  unused.delete(line);
  return line
    .replaceAll('docker compose', compose)
    .replaceAll('-p 8883 -u', `-p ${mqttPort} -u`)
    .replaceAll('-p 2222', `-F ${folder}/ssh_config -p ${sshPort}`);
}

const run = (line, options) => shell(line, { env, cwd: folder, ...options });

async function succeeds(line, options) {
  const result = await run(line, options);
  assert.equal(result.code, 0, `${line}\n${result.timedOut ? 'took too long; ' : ''}it printed:\n${result.output}`);
  return result.stdout;
}

/** Runs on the frontend: the documented ssh line with a command behind it. */
const onFrontend = (user, password, command, options) =>
  run(`${documented('ssh -p 2222 alice@localhost').replace('alice', user)} ${quoted(command)}`, {
    ...options,
    env: { ...env, TEST_PASSWORD: password },
  });

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const local = {
  sub: 'mosquitto_sub --cafile iot-lab-ca.pem -h localhost -p 8883 -u alice -P <password> -t iotlab/alice/test',
  pub: 'mosquitto_pub --cafile iot-lab-ca.pem -h localhost -p 8883 -u alice -P <password> -t iotlab/alice/test -m "Hello FIT IoT-LAB"',
};
const remote = {
  sub: 'mosquitto_sub --cafile /opt/iot-lab-ca.pem -h mqtt.iot-lab.info -p 8883 -t iotlab/alice/test',
  pub: 'mosquitto_pub --cafile /opt/iot-lab-ca.pem -h mqtt.iot-lab.info -p 8883 -t iotlab/alice/test -m "Hello FIT IoT-LAB"',
  lines: 'mosquitto_pub --cafile /opt/iot-lab-ca.pem -h mqtt.iot-lab.info -p 8883 -t iotlab/alice/test -l',
};
const asUser = (line, user) => documented(line).replaceAll('alice', user).replace('<password>', passwords[user]);
const containers = (filter) => `docker ps -aq --filter ${filter}`;
const ofProject = `label=com.docker.compose.project=${project}`;
const inspect = async (name, format) =>
  succeeds(`docker inspect --format ${quoted(format)} $(${compose} ps -q ${name})`);
const passwordOf = (user) =>
  succeeds(documented('docker compose exec -T directory password alice').replace('alice', user));
const certificate = 'docker compose exec -T broker cat /ca/iot-lab-ca.pem > iot-lab-ca.pem';
const passwords = {};

// ---- the steps, in order: each stands on the ones before it

const steps = {
  'builds the images': async () => {
    await succeeds(`${compose} build`, { timeoutMs: 600_000 });
    const sizes = await succeeds(
      "docker images --format '{{.Repository}} {{.Size}}' --filter 'reference=iotlab-*:test'",
    );
    console.log(`  ${sizes.split('\n').sort().join(', ')}`);
  },
  'starts with one command, and is healthy when it returns': async () => {
    await succeeds(documented('docker compose up -d'), { timeoutMs: 120_000 });
    assert.equal(await inspect('broker', '{{.State.Health.Status}}'), 'healthy');
  },
  'has made passwords, which no log, environment or compose file knows': async () => {
    for (const user of ['alice', 'benoit', 'claire']) passwords[user] = await passwordOf(user);
    assert.equal(new Set(Object.values(passwords)).size, 3);
    const seen = [
      await succeeds(`${compose} logs --no-color`),
      await succeeds(`docker inspect $(${compose} ps -q)`),
      await succeeds(`${compose} config`),
      await succeeds(documented('docker compose logs broker')),
    ].join('\n');
    for (const password of Object.values(passwords)) assert.ok(!seen.includes(password));
  },
  'runs without rights: no root, no capability, nothing writable but its volumes': async () => {
    for (const name of ['broker', 'directory', 'frontend']) {
      assert.equal(await inspect(name, '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}'), 'true [ALL]');
      if (name === 'frontend') continue;
      const status = await succeeds(`${compose} exec -T ${name} grep -E '^(Uid|CapEff|NoNewPrivs):' /proc/1/status`);
      assert.match(status, /Uid:\s+1000\s+1000[^]*CapEff:\s+0{16}\n[^]*NoNewPrivs:\s+1/);
    }
  },
  'walks from the local computer': async () => {
    await succeeds(documented(certificate));
    const sub = await run(`${asUser(local.sub, 'alice')} -d -C 1 -W 30`, { until: /Subscribed \(mid/ });
    await succeeds(asUser(local.pub, 'alice'));
    assert.match((await sub.ended).output, /^Hello FIT IoT-LAB$/m);
  },
  'walks from the frontend, with the credentials in ~/.config': async () => {
    for (const user of ['alice', 'benoit']) {
      const file = `-u ${user}\n-P ${passwords[user]}\n`;
      const protect = documented('chmod 600 ~/.config/mosquitto_pub ~/.config/mosquitto_sub');
      const made = await onFrontend(
        user,
        passwords[user],
        `printf %s ${quoted(file)} | tee ~/.config/mosquitto_pub > ~/.config/mosquitto_sub && ${protect} && hostname`,
      );
      assert.equal(made.stdout, 'saclay', made.output);
    }
    const here = await run(`${asUser(local.sub, 'alice')} -d -C 4 -W 40`, { until: /Subscribed \(mid/ });
    const there = await onFrontend('alice', passwords.alice, `${documented(remote.sub)} -d -C 4 -W 40`, {
      until: /Subscribed \(mid/,
    });
    const sent = await onFrontend('alice', passwords.alice, documented(remote.pub));
    assert.equal(sent.code, 0, sent.output);
    await onFrontend('alice', passwords.alice, `printf 'one\\ntwo\\nthree\\n' | ${documented(remote.lines)}`);
    for (const end of [here, there]) {
      const { output } = await end.ended;
      assert.deepEqual(output.match(/^(Hello FIT IoT-LAB|one|two|three)$/gm), [
        'Hello FIT IoT-LAB',
        'one',
        'two',
        'three',
      ]);
    }
  },
  'refuses the disabled user, a wrong password, and the tree of another user': async () => {
    const disabled = await run(asUser(local.sub, 'claire'));
    assert.equal(disabled.code, 5, disabled.output);
    assert.match(disabled.output, /not authorised/);
    assert.equal((await onFrontend('claire', passwords.claire, 'true')).code, 255);
    assert.equal((await run(documented(local.sub).replace('<password>', 'wrong'))).code, 5);
    const foreign = await run(`${asUser(local.sub, 'alice').replace('iotlab/alice', 'iotlab/benoit')} -W 10`);
    assert.match(foreign.output, /All subscription requests were denied/);
  },
  'keeps the messages of a persistent session over a restart of the broker': async () => {
    const session = `${asUser(local.sub, 'alice')} -q 1 -c -i laptop`;
    const send = (text) => succeeds(`${asUser(local.pub, 'alice').replace('Hello FIT IoT-LAB', text)} -q 1`);
    await succeeds(`${session} -E`);
    await send('before');
    await succeeds(`${asUser(local.pub, 'alice').replace('alice/test', 'alice/kept')} -q 1 -r`);
    await succeeds(`${compose} restart broker`, { timeoutMs: 60_000 });
    await healthy('broker');
    await send('after');
    assert.equal(await succeeds(`${session} -C 2 -W 20`), 'before\nafter');
  },
  'lets recent users in while the directory is down, and tells strangers so': async () => {
    await succeeds(`${compose} stop directory`, { timeoutMs: 60_000 });
    await succeeds(asUser(local.pub, 'alice'));
    const stranger = await run(asUser(local.pub, 'benoit'), { timeoutMs: 30_000 });
    assert.match(stranger.output, /Connection Refused: broker unavailable/);
    const health = await run(documented('docker compose exec -T broker /app/docker/health'));
    assert.match(health.stdout, /"degraded"/, health.output);
    assert.equal(await inspect('broker', '{{.State.Health.Status}}'), 'healthy');
    await succeeds(`${compose} start directory`, { timeoutMs: 60_000 });
    await healthy('directory');
    await eventually(async () => (await run(asUser(local.pub, 'benoit'))).code === 0, 'benoit gets in again');
  },
  'stops with exit code 0, and starts again in seconds as it was': async () => {
    await succeeds(`${compose} stop`, { timeoutMs: 60_000 });
    for (const name of ['broker', 'directory', 'frontend']) {
      const ids = containers(`${ofProject} --filter label=com.docker.compose.service=${name}`);
      assert.equal(await succeeds(`docker inspect --format '{{.State.ExitCode}}' $(${ids})`), '0', name);
    }
    await succeeds(documented('docker compose down'), { timeoutMs: 60_000 });
    const before = readFileSync(join(folder, 'iot-lab-ca.pem'), 'utf8');
    const start = performance.now();
    await succeeds(documented('docker compose up -d'), { timeoutMs: 60_000 });
    console.log(`  the second start took ${((performance.now() - start) / 1000).toFixed(1)} s`);
    await succeeds(documented(certificate));
    assert.equal(readFileSync(join(folder, 'iot-lab-ca.pem'), 'utf8'), before);
    assert.equal(await passwordOf('alice'), passwords.alice);
    const kept = asUser(local.sub, 'alice').replace('alice/test', 'alice/kept');
    assert.equal(await succeeds(`${kept} -C 1 -W 10`), 'Hello FIT IoT-LAB');
    const files = await onFrontend('alice', passwords.alice, 'ls ~/.config');
    assert.equal(files.stdout, 'mosquitto_pub\nmosquitto_sub', files.output);
  },
  'takes a new password over after a restart of the directory and the frontend': async () => {
    passwords.benoit = await succeeds(`${compose} exec -T directory password benoit --new`);
    await succeeds(documented('docker compose restart directory frontend'), { timeoutMs: 60_000 });
    await healthy('directory');
    await eventually(async () => (await run(asUser(local.pub, 'benoit'))).code === 0, 'the new password works');
    await healthy('frontend');
    assert.equal((await onFrontend('benoit', passwords.benoit, 'true')).code, 0);
  },
  'forgets everything': async () => {
    await succeeds(documented('docker compose down -v'), { timeoutMs: 60_000 });
    for (const kind of ['ps -a', 'volume ls', 'network ls']) {
      assert.equal(await succeeds(`docker ${kind} -q --filter ${ofProject}`), '');
    }
  },
  'runs the broker alone with nothing but a volume': async () => {
    documented('docker build -f docker/broker/Dockerfile -t iotlab-broker .');
    const start = documented('docker run --name iotlab -p 8883:8883 -v iotlab:/data iotlab-broker')
      .replace('--name iotlab', `-d --name ${alone} --read-only --cap-drop ALL --security-opt no-new-privileges`)
      .replace('8883:8883', `127.0.0.1:${alonePort}:8883`)
      .replace('iotlab:/data iotlab-broker', `${alone}:/data ${image}`);
    await succeeds(start);
    await eventually(
      async () => (await succeeds(`docker inspect --format '{{.State.Health.Status}}' ${alone}`)) === 'healthy',
      'the broker alone is healthy',
    );
    const { output } = await run(`docker logs ${alone}`);
    const [copy] = output.match(/docker cp \S+ \./) ?? assert.fail(output);
    await succeeds(copy);
    const [, login, password] = output.match(/mosquitto_sub .*-u (\S+) -P (\S+)/) ?? assert.fail(output);
    await succeeds(
      `mosquitto_pub --cafile iot-lab-ca.pem -h localhost -p ${alonePort} -u ${login} -P ${password} -t iotlab/${login}/test -m hello`,
    );
    await succeeds(`docker stop ${alone}`);
    assert.equal(await succeeds(`docker inspect --format '{{.State.ExitCode}}' ${alone}`), '0');
  },
  'says in one line what is wrong with a volume that belongs to somebody else': async () => {
    await succeeds(`docker run --rm --user 0 --entrypoint chown -v ${alone}:/data ${image} -R 4711:4711 /data`);
    const refused = await run(`docker run --rm -v ${alone}:/data ${image}`);
    assert.equal(refused.code, 2, refused.output);
    assert.match(refused.output, /^iotlab-broker: \/data belongs to 4711:4711.* Remedy: .*chown -R 1000:1000.*\n$/);
  },
  'accepts the production examples': async () => {
    for (const name of ['broker.yaml', 'broker.container.yaml']) {
      const file = join(root, 'config', 'production', name);
      await succeeds(`docker run --rm -v ${file}:/app/config/broker.yaml:ro ${image} config check`);
    }
    await succeeds(`${compose} -f ${join(root, 'config', 'production', 'compose.yaml')} config`);
  },
  'has run every command of the page, and the README has no other': async () => {
    assert.deepEqual([...unused], []);
    const others = commandsOf(readFileSync(join(root, 'README.md'), 'utf8')).filter((line) => /\bdocker\b/.test(line));
    for (const line of others) documented(line);
  },
};

async function eventually(condition, what, timeoutMs = 30_000) {
  const end = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > end) assert.fail(`not within ${timeoutMs / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

const healthy = (name) =>
  eventually(async () => (await inspect(name, '{{.State.Health.Status}}')) === 'healthy', `${name} is healthy`);

// ---- the run

let cleaned = false;
function cleanUp() {
  if (cleaned) return;
  cleaned = true;
  const quiet = { env, cwd: folder, stdio: 'ignore' };
  spawnSync('bash', ['-c', `${compose} down -v --remove-orphans --timeout 5`], quiet);
  spawnSync('bash', ['-c', `docker rm -f -v ${alone}; docker volume rm ${alone}`], quiet);
  rmSync(folder, { recursive: true, force: true });
  stopEngine();
}
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    cleanUp();
    process.exit(1);
  });
}

let passed = 0;
let failed = 0;
for (const [name, step] of Object.entries(steps)) {
  const start = performance.now();
  try {
    await step();
    passed += 1;
    console.log(`ok ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed += 1;
    console.log(`not ok ${name}\n${error.message}`);
    const { output } = await run(`${compose} logs --no-color --tail=40; docker logs --tail=40 ${alone}`);
    console.log(output);
    break;
  }
}
cleanUp();
console.log(`docker: ${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
