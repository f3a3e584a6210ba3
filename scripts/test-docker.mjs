// `npm run test:docker [-- cluster]`: builds the images and walks docs/docker.md with real ssh and real mosquitto clients, then
// the cluster of docs/cluster.md; with `cluster`, that one alone. Needs Docker; test/docker/engine.mjs says what happens on a
// machine that has none. Prints a line per step.
import { fileURLToPath } from 'node:url';
import { ensureDebianPackages, ensureNodeModules } from './ensure.mjs';

ensureNodeModules(fileURLToPath(new URL('..', import.meta.url)));
ensureDebianPackages({ mosquitto_sub: 'mosquitto-clients', ssh: 'openssh-client' });
const { alone, cleanUp, cluster, compose, page, root, run } = await import('../test/docker/lab.mjs');
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    cleanUp();
    process.exit(1);
  });
}
const { sceneSteps } = await import('../test/docker/scene.mjs');
const { aloneSteps } = await import('../test/docker/alone.mjs');
const { clusterSteps } = await import('../test/docker/cluster.mjs');
const pageSteps = {
  ...sceneSteps,
  ...aloneSteps,
  'has run every command of the page, and the README has no other': () => {
    page.assertAllTaken();
    page.assertCovers(`${root}/README.md`);
  },
};
const steps = { ...(process.argv[2] === 'cluster' ? {} : pageSteps), ...clusterSteps };

const start = performance.now();
const secondsSince = (then) => `${((performance.now() - then) / 1000).toFixed(1)} s`;
let passed = 0;
let failed = 0;
for (const [name, step] of Object.entries(steps)) {
  const stepStart = performance.now();
  try {
    await step();
    passed += 1;
    console.log(`ok ${name} (${secondsSince(stepStart)})`);
  } catch (error) {
    failed += 1;
    console.log(`not ok ${name} (${secondsSince(stepStart)})\n${error.message}`);
    // The later steps stand on this one.
    console.log(
      (
        await run(
          `${compose} logs --no-color --tail=40; docker logs --tail=40 ${alone}; ${cluster} logs --no-color --tail=40`,
        )
      ).output,
    );
    break;
  }
}
cleanUp();
console.log(`The whole took ${secondsSince(start)}.`);
console.log(`docker: ${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
