// The broker's image without the compose file, and the production examples.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import {
  alone,
  alonePort,
  documented,
  eventually,
  folder,
  image,
  mqttPort,
  production,
  root,
  run,
  succeeds,
} from './lab.mjs';

export const aloneSteps = {
  'runs the broker alone with nothing but a volume': async () => {
    documented('docker build -f docker/broker/Dockerfile -t iotlab-broker .');
    const start = (more = '') =>
      documented('docker run -d --name iotlab --restart unless-stopped -p 8883:8883 -v iotlab:/data iotlab-broker')
        .replace('--name iotlab', `--name ${alone} --read-only --cap-drop ALL --security-opt no-new-privileges ${more}`)
        .replace('8883:8883', `127.0.0.1:${alonePort}:8883`)
        .replace('iotlab:/data iotlab-broker', `${alone}:/data ${image}`);
    const isHealthy = () =>
      eventually(
        async () => (await succeeds(`docker inspect --format '{{.State.Health.Status}}' ${alone}`)) === 'healthy',
        'the broker alone is healthy',
      );
    await succeeds(start());
    await isHealthy();
    const own = (line) => documented(line).replace(/\biotlab\b/, alone);
    const password = await succeeds(own('docker exec iotlab cat /data/users.first-password'));
    await succeeds(own('docker cp iotlab:/data/certs/iot-lab-ca.pem iot-lab-ca.pem'));
    await succeeds(
      `mosquitto_pub --cafile iot-lab-ca.pem -h localhost -p ${alonePort} -u alice -P ${password} -t iotlab/alice/test -m hello`,
    );
    const { output } = await run(own('docker logs iotlab'));
    assert.ok(!output.includes(password), 'the password is in the log');
    for (const line of output.trim().split('\n')) JSON.parse(line);
    await succeeds(own('docker stop iotlab'));
    assert.equal(await succeeds(`docker inspect --format '{{.State.ExitCode}}' ${alone}`), '0');
    await succeeds(own('docker start iotlab'));
    await isHealthy();
    // A new container has everything of the old one, and a certificate with the names that it is given.
    await succeeds(own('docker rm -f iotlab'));
    await succeeds(start('-e IOTLAB_NAMES="teacher.local 192.0.2.7"'));
    await isHealthy();
    await succeeds(
      `mosquitto_pub --cafile iot-lab-ca.pem -h localhost -p ${alonePort} -u alice -P ${password} -t iotlab/alice/test -m hello`,
    );
    assert.match(await succeeds(`docker exec ${alone} iotlab-broker certs show`), /teacher\.local, 192\.0\.2\.7/);
    const licences = await succeeds(`docker exec ${alone} cat /app/THIRD-PARTY-LICENCES`);
    for (const name of ['aedes 1', 'ldapjs', 'pino']) assert.match(licences, new RegExp(`^${name}.*: MIT$`, 'm'));
    await succeeds(own('docker rm -f iotlab'));
  },
  'says in one line what is wrong with a volume that belongs to somebody else': async () => {
    await succeeds(`docker run --rm --user 0 --entrypoint chown -v ${alone}:/data ${image} -R 4711:4711 /data`);
    const refused = await run(`docker run --rm -v ${alone}:/data ${image}`);
    assert.equal(refused.code, 2, refused.output);
    assert.match(refused.output, /^iotlab-broker: \/data belongs to 4711:4711.* Remedy: .*chown -R 1000:1000.*\n$/);
  },
  'accepts the production configuration for systemd': async () => {
    const file = join(root, 'config', 'production', 'broker.yaml');
    await succeeds(`docker run --rm -v ${file}:/app/config/broker.yaml:ro ${image} config check`);
  },
  'runs the production compose file, and renews its certificate without a restart': async () => {
    const tools = `docker run --rm --user 0 -v ${folder}/production:/work --entrypoint sh iotlab-directory:test -ec`;
    const renewal = join(root, 'config', 'production', 'renew-certificate');
    const issue = (name) =>
      succeeds(
        `${tools.replace('--entrypoint', `-v ${renewal}:/renew:ro -e IOTLAB_TLS=/work/tls -e IOTLAB_OWNER=1000 --entrypoint`)} '
          live=/work/live/mqtt.example.org; mkdir -p $live /work/tls
          openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=${name} -days 90 \
            -keyout $live/privkey.pem -out $live/fullchain.pem
          RENEWED_LINEAGE=$live /renew'`,
      );
    const subject = async () =>
      (await run(`openssl s_client -connect localhost:${mqttPort} </dev/null | openssl x509 -noout -subject`)).stdout;

    await issue('first');
    await succeeds(
      `${tools} 'cd /work && mkdir secrets && echo secret > secrets/ldap-password && chmod -R go= . && chown -R 1000:1000 .
        cat tls/server.pem > tls/ca.pem && cp tls/ca.pem tls/ldap-ca.pem && chown 1000:1000 tls/*'`,
    );
    await succeeds(`${production} up -d`);
    const state = (format) => succeeds(`docker inspect --format '${format}' $(${production} ps -q broker)`);
    await eventually(async () => (await state('{{.State.Health.Status}}')) === 'healthy', 'the broker is healthy');
    const started = await state('{{.State.StartedAt}}');
    assert.match(await subject(), /CN ?= ?first/);
    await issue('second');
    await eventually(async () => /CN ?= ?second/.test(await subject()), 'the renewed certificate is in use');
    assert.equal(await state('{{.State.StartedAt}}'), started);
    await succeeds(`${production} down -v`);
    await succeeds(`${tools} 'rm -rf /work/*'`);
  },
};
