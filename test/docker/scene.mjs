// The whole scene of compose.yaml: both walks of the documentation, and what happens when parts of it stop.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  clone,
  compose,
  documented,
  eventually,
  healthy,
  inspect,
  ofProject,
  onFrontend,
  quoted,
  run,
  succeeds,
  webPort,
} from './lab.mjs';

const passwords = {};
const passwordOf = (user) =>
  succeeds(documented('docker compose exec -T directory password alice').replace('alice', user));
const certificate = 'docker compose exec -T broker cat /ca/iot-lab-ca.pem > iot-lab-ca.pem';
const services = ['broker', 'directory', 'frontend'];
const users = join(clone, 'docker', 'users');
const change = (find, replace) => writeFileSync(users, readFileSync(users, 'utf8').replace(find, replace));
const local = {
  sub: 'mosquitto_sub --cafile iot-lab-ca.pem -h localhost -p 8883 -u alice -P <password> -t iotlab/alice/test',
  pub: 'mosquitto_pub --cafile iot-lab-ca.pem -h localhost -p 8883 -u alice -P <password> -t iotlab/alice/test -m "Hello FIT IoT-LAB"',
};
const remote = {
  sub: 'mosquitto_sub --cafile /opt/iot-lab-ca.pem -h mqtt.iot-lab.info -p 8883 -t iotlab/alice/test',
  pub: 'mosquitto_pub --cafile /opt/iot-lab-ca.pem -h mqtt.iot-lab.info -p 8883 -t iotlab/alice/test -m "Hello FIT IoT-LAB"',
  lines: 'mosquitto_pub --cafile /opt/iot-lab-ca.pem -h mqtt.iot-lab.info -p 8883 -t iotlab/alice/test -l',
};
const reload = () => documented('docker compose exec -T directory reload');
const asUser = (line, user) =>
  documented(line)
    .replaceAll('alice', user)
    .replace('<password>', () => quoted(passwords[user]));
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
    assert.match(await succeeds(`${compose} logs names`), /open to this machine only \(127\.0\.0\.1\)/);
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
  'shows the pages over the same certificate': async () => {
    await succeeds(documented(certificate));
    const { status } = JSON.parse(
      await succeeds(documented('curl --cacert iot-lab-ca.pem https://localhost:8443/status')),
    );
    assert.equal(status, 'ok');
    const page = await succeeds(`curl -s --cacert iot-lab-ca.pem https://localhost:${webPort}/me`);
    assert.match(page, /<title>Your MQTT<\/title>/);
  },
  'walks from the local computer': async () => {
    await succeeds(documented(certificate));
    const sub = await run(`stdbuf -oL ${asUser(local.sub, 'alice')} -d -C 1 -W 30`, { until: /Subscribed \(mid/ });
    await succeeds(asUser(local.pub, 'alice'));
    assert.match((await sub.ended).output, /^Hello FIT IoT-LAB$/m);
  },
  'walks from the frontend, with the credentials in ~/.config': async () => {
    for (const user of ['alice', 'benoit']) {
      const lines = `-u ${user}\n-P ${passwords[user]}\n`;
      await onFrontend(user, passwords[user], documented('nano ~/.config/mosquitto_pub'), {
        terminal: true,
        typing: [
          [/GNU nano/, lines.replaceAll('\n', '\r')],
          [/-P/, '\x0f'],
          [/Write/, '\r'],
          [/Wrote/, '\x18'],
        ],
      });
      const more = [
        documented('cp ~/.config/mosquitto_pub ~/.config/mosquitto_sub'),
        documented('chmod 600 ~/.config/mosquitto_pub ~/.config/mosquitto_sub'),
        'hostname',
        'less ~/.config/mosquitto_sub',
      ];
      const made = await onFrontend(user, passwords[user], more.join(' && '));
      assert.equal(made.stdout, `saclay\n${lines}`.trim(), made.output);
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
    const before = readFileSync(join(clone, 'iot-lab-ca.pem'), 'utf8');
    const start = performance.now();
    await succeeds(documented('docker compose up -d'), { timeoutMs: 60_000 });
    await succeeds(documented('docker compose up -d --build'), { timeoutMs: 120_000 });
    console.log(`  the second start took ${((performance.now() - start) / 1000).toFixed(1)} s`);
    await succeeds(documented(certificate));
    assert.equal(readFileSync(join(clone, 'iot-lab-ca.pem'), 'utf8'), before);
    assert.equal(await passwordOf('alice'), passwords.alice);
    const kept = asUser(local.sub, 'alice').replace('alice/test', 'alice/kept');
    assert.equal(await succeeds(`${kept} -C 1 -W 10`), 'Hello FIT IoT-LAB');
    const files = await onFrontend('alice', passwords.alice, 'ls ~/.config');
    assert.equal(files.stdout, 'mosquitto_pub\nmosquitto_sub', files.output);
  },
  'opens to the network, and says how students connect, which they can': async () => {
    await succeeds(documented('IOTLAB_ADDRESS=0.0.0.0 docker compose up -d'), { timeoutMs: 60_000 });
    const said = await succeeds(documented('docker compose logs names'));
    console.log(said.replaceAll(/^/gm, '  '));
    const [, names = ''] = /students reach this machine as (.*); all of them/.exec(said) ?? [];
    const shown = await succeeds(`${compose} exec -T broker iotlab-broker certs show`);
    for (const name of names.split(', ')) assert.ok(name !== '' && shown.includes(name), shown);
    const [, host, port] = /--cafile iot-lab-ca.pem -h (\S+) -p (\d+)/.exec(said) ?? [];
    const student = `mosquitto_pub --cafile iot-lab-ca.pem -h ${host} -p ${port} -u alice -P ${passwords.alice}`;
    await succeeds(`${student} -t iotlab/alice/test -m hello`);
    const [, ssh = ''] = /(ssh -p \d+ )LOGIN@/.exec(said) ?? [];
    assert.notEqual(ssh, '');
  },
  'takes a class of students over at once, each with a password of its own': async () => {
    await succeeds(
      documented(
        `seq 40 | awk '{ printf "student%02d %d enabled student%02d@example.org Student %d\\n", $1, 2100 + $1, $1, $1 }' >> docker/users`,
      ),
    );
    const said = await succeeds(reload());
    assert.match(said, /^directory: new: student01 student02 .* student40$/m);
    assert.match(said, /^directory: 43 users, 1 of them disabled$/m);
    const all = await succeeds(documented('docker compose exec -T directory password --all'));
    console.log(all.split('\n').slice(0, 5).join('\n').replaceAll(/^/gm, '  '));
    assert.equal(all.match(/login {5}\w+/g).length, 42);
    assert.ok(!all.includes('claire'));
    for (const user of ['student01', 'student40']) {
      [, passwords[user]] = new RegExp(`login {5}${user} *\\n.*password {2}(\\S+)`).exec(all) ?? [];
      await succeeds(asUser(local.pub, user));
    }
    await eventually(
      async () => (await onFrontend('student40', passwords.student40, 'true')).code === 0,
      'the student gets in on the frontend',
    );
  },
  'takes new passwords over at once, made or chosen': async () => {
    passwords.alice = await succeeds(documented('docker compose exec -T directory password alice --new'));
    [passwords.student01, passwords.student40] = ['chosen for 1', 'p4$$:wor"d'];
    writeFileSync(
      join(clone, 'passwords.txt'),
      `student01 ${passwords.student01}\nstudent40  ${passwords.student40}\n`,
    );
    const chosen = documented('docker compose exec -T directory password --from < passwords.txt');
    assert.match(await succeeds(chosen), /changed: student01 student40/);
    for (const user of ['alice', 'student01', 'student40']) {
      await eventually(
        async () =>
          (await run(asUser(local.pub, user))).code === 0 &&
          (await onFrontend(user, passwords[user], 'true')).code === 0,
        `the new password of ${user} works`,
      );
    }
    writeFileSync(join(clone, 'passwords.txt'), 'student01\nnobody secret\n');
    const wrong = await run(chosen);
    assert.equal(wrong.code, 1);
    assert.match(wrong.output, /line 1: needs: login password\n.*line 2: no user "nobody".*\n.*nothing was changed/);
  },
  'keeps the list of before when docker/users has a mistake, and says so where one looks': async () => {
    change('alice     2001', 'alice     2O01');
    const line =
      readFileSync(users, 'utf8')
        .split('\n')
        .findIndex((text) => text.startsWith('alice')) + 1;
    const mistake = new RegExp(`docker/users line ${line}: number "2O01": from 1001 to 59999`);
    const refused = await run(reload());
    assert.equal(refused.code, 1);
    assert.match(refused.output, mistake);
    assert.match(refused.output, /the list of before stays in use/);
    await succeeds(`${compose} restart directory`, { timeoutMs: 60_000 });
    await healthy('directory');
    assert.match(await succeeds(`${compose} logs directory`), mistake);
    const asked = await run(documented('docker compose exec -T directory password alice'));
    assert.match(asked.output, mistake);
    assert.equal(asked.stdout, passwords.alice);
    await eventually(async () => (await run(asUser(local.pub, 'alice'))).code === 0, 'alice gets in');
    change('alice     2O01', 'alice     2001');
  },
  'turns out who is disabled or gone, within seconds': async () => {
    change(/(benoit +2002 +)enabled/, '$1disabled');
    change(/^student40.*\n/m, '');
    const until = /Subscribed \(mid/;
    const live = {
      'benoit by MQTT': await run(`stdbuf -oL ${asUser(local.sub, 'benoit')} -d -W 60`, { until }),
      'benoit on the frontend': await onFrontend('benoit', passwords.benoit, 'echo in; sleep 60', { until: /in/ }),
      'student40 on the frontend': await onFrontend('student40', passwords.student40, 'echo in; sleep 60', {
        until: /in/,
      }),
      'alice on the frontend': await onFrontend('alice', passwords.alice, 'echo in; sleep 12', { until: /in/ }),
    };
    const start = performance.now();
    const said = await succeeds(reload());
    assert.match(said, /^directory: changed: benoit$/m);
    assert.match(said, /^directory: gone: student40$/m);
    for (const [who, { ended }] of Object.entries(live)) {
      const { code } = await ended;
      const seconds = (performance.now() - start) / 1000;
      if (who.startsWith('alice')) assert.equal(code, 0, `${who} was ended too`);
      else assert.ok(code !== 0 && seconds < 12, `${who}: ${code} after ${seconds} s`);
      console.log(`  ${who}: ended after ${seconds.toFixed(1)} s`);
    }
    assert.equal((await run(asUser(local.pub, 'benoit'))).code, 5);
    assert.equal((await onFrontend('benoit', passwords.benoit, 'true')).code, 255);
  },
  'forgets everything': async () => {
    await succeeds(documented('docker compose down -v'), { timeoutMs: 60_000 });
    for (const kind of ['ps -a', 'volume ls', 'network ls']) {
      assert.equal(await succeeds(`docker ${kind} -q --filter ${ofProject}`), '');
    }
  },
};
