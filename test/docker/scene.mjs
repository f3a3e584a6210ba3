// The whole scene of compose.yaml: both walks of the documentation, and what happens when parts of it stop.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  compose,
  documented,
  eventually,
  folder,
  healthy,
  inspect,
  ofProject,
  onFrontend,
  quoted,
  run,
  succeeds,
} from './lab.mjs';

const passwords = {};
const passwordOf = (user) =>
  succeeds(documented('docker compose exec -T directory password alice').replace('alice', user));
const certificate = 'docker compose exec -T broker cat /ca/iot-lab-ca.pem > iot-lab-ca.pem';
const services = ['broker', 'directory', 'frontend'];
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
/** In order: each stands on the ones before it. */
export const sceneSteps = {
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
    for (const name of services) {
      assert.equal(await inspect(name, '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}'), 'true [ALL]');
      if (name === 'frontend') continue;
      const status = await succeeds(`${compose} exec -T ${name} grep -E '^(Uid|CapEff|NoNewPrivs):' /proc/1/status`);
      assert.match(status, /Uid:\s+1000\s+1000[\s\S]*CapEff:\s+0{16}\n[\s\S]*NoNewPrivs:\s+1/);
    }
  },
  'walks from the local computer': async () => {
    await succeeds(documented(certificate));
    const sub = await run(`stdbuf -oL ${asUser(local.sub, 'alice')} -d -C 1 -W 30`, { until: /Subscribed \(mid/ });
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
    const here = await run(`stdbuf -oL ${asUser(local.sub, 'alice')} -d -C 4 -W 40`, { until: /Subscribed \(mid/ });
    const there = await onFrontend('alice', passwords.alice, `stdbuf -oL ${documented(remote.sub)} -d -C 4 -W 40`, {
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
    for (const name of services) {
      assert.equal(await inspect(name, '{{.State.ExitCode}}'), '0', name);
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
  'takes a new password over after a restart of the directory': async () => {
    passwords.benoit = await succeeds(`${compose} exec -T directory password benoit --new`);
    await succeeds(documented('docker compose restart directory'), { timeoutMs: 60_000 });
    await healthy('directory');
    await eventually(async () => (await run(asUser(local.pub, 'benoit'))).code === 0, 'the new password works');
    await eventually(
      async () => (await onFrontend('benoit', passwords.benoit, 'true')).code === 0,
      'the new password works on the frontend',
    );
  },
  'forgets everything': async () => {
    await succeeds(documented('docker compose down -v'), { timeoutMs: 60_000 });
    for (const kind of ['ps -a', 'volume ls', 'network ls']) {
      assert.equal(await succeeds(`docker ${kind} -q --filter ${ofProject}`), '');
    }
  },
};
