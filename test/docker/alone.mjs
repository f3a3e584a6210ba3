// The broker's image without the compose file, and the production examples.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { alone, alonePort, compose, documented, eventually, image, root, run, succeeds } from './lab.mjs';

export const aloneSteps = {
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
};
