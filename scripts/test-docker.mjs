// `npm run test:docker`: builds the images and walks docs/docker.md with real ssh and real mosquitto clients. Needs Docker;
// test/docker/engine.mjs says what happens on a machine that has none. Prints a line per step.
import { ensureDebianPackages } from './ensure.mjs';

ensureDebianPackages({ mosquitto_sub: 'mosquitto-clients', ssh: 'openssh-client' });
const { alone, cleanUp, compose, page, root, run } = await import('../test/docker/lab.mjs');
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    cleanUp();
    process.exit(1);
  });
}
const { sceneSteps } = await import('../test/docker/scene.mjs');
const { aloneSteps } = await import('../test/docker/alone.mjs');
const steps = {
  ...sceneSteps,
  ...aloneSteps,
  'has run every command of the page, and the README has no other': () => {
    page.assertAllTaken();
    page.assertCovers(`${root}/README.md`);
  },
};

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
    console.log((await run(`${compose} logs --no-color --tail=40; docker logs --tail=40 ${alone}`)).output);
    break;
  }
}
cleanUp();
console.log(`The whole took ${secondsSince(start)}.`);
console.log(`docker: ${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
