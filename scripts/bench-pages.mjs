// `npm run bench:pages`: what pages that browsers have open cost those who are at work over MQTT.
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { build, ensureNodeModules } from './ensure.mjs';

const USERS = 50;
const CONNECTIONS = 200;
/** Messages of each user. */
const PER_SECOND = 10;
const PAGES = 1_000;
const PAGES_PER_USER = 10;
const WINDOW_SECONDS = 6;
const ROUNDS = 3;

const root = fileURLToPath(new URL('..', import.meta.url));
ensureNodeModules(root);
build(root, 'tsconfig.json');
const { builtIn, freePort, prepare, start } = await import('../bench/brokers.mjs');
const { cpuMicroseconds } = await import('../bench/process.mjs');
const { openWorkshop } = await import('../bench/workshop.mjs');

const { folder, keep } = openWorkshop();

/** What a worker answers that is asked. */
async function asked(child) {
  child.send('tell');
  return (await once(child, 'message'))[0];
}

const quantile = (values, share) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) * share)] ?? 0;
const median = (values) => quantile(values, 0.5);

const { ca, users } = await prepare(folder, USERS + 1 + PAGES / PAGES_PER_USER);
const webPort = await freePort();
const broker = await start('iotlab-broker', builtIn(root, [`web: { host: 127.0.0.1, port: ${webPort} }`]), folder);
const target = { ca, port: broker.port, webPort, pid: broker.pid };
const atWork = users.slice(0, USERS);
await keep({ work: 'crowd', target, users: atWork, count: CONNECTIONS, perSecond: PER_SECOND });
const probe = await keep({ work: 'probe', target, user: users[USERS], everyMs: 10 });
const nothingElse = users.slice(USERS + 1);
await sleep(2_000);

/** Another user's times, second by second, and the broker's CPU, with these pages open. */
async function measured(job) {
  const pages = job === null ? null : await keep({ work: 'pages', target, count: PAGES, ...job });
  await sleep(1_000);
  await asked(probe);
  const seconds = [];
  const cpuBefore = cpuMicroseconds(broker.pid);
  while (seconds.length < WINDOW_SECONDS) {
    await sleep(1_000);
    seconds.push((await asked(probe)).tookMs);
  }
  const cores = (cpuMicroseconds(broker.pid) - cpuBefore) / 1e6 / WINDOW_SECONDS;
  if (pages !== null) {
    pages.kill('SIGKILL');
    await sleep(1_000);
  }
  return { seconds, cores };
}

const kinds = [
  ['no page', null],
  [`${PAGES} pages of users who do nothing`, { users: nothingElse }],
  [`${PAGES} pages of users who are at work`, { users: atWork.concat(nothingElse.slice(0, USERS)) }],
  [
    `the same, and nobody reads what the pages get`,
    { users: atWork.concat(nothingElse.slice(0, USERS)), reads: false },
  ],
];
const results = kinds.map(() => []);
for (let round = 0; round < ROUNDS; round++) {
  for (const [index, [, job]] of kinds.entries()) results[index].push(await measured(job));
}
// Others use the machine too: a second in which it had no time for anybody says nothing about the broker.
console.log(`${CONNECTIONS} connections of ${USERS} users, each ${PER_SECOND} messages of QoS 1 a second. How long another user's
messages took, in ms: medians of ${ROUNDS * WINDOW_SECONDS} seconds; in brackets the same through a process that only copies.
`);
console.log('| | p50 | p95 | p99 | cores |\n| --- | --- | --- | --- | --- |');
for (const [index, [name]] of kinds.entries()) {
  const seconds = results[index].flatMap((result) => result.seconds);
  const figures = [0.5, 0.95, 0.99].map((share) => {
    const of = (key) => median(seconds.map((second) => quantile(second[key], share))).toFixed(1);
    return `${of('messages')} (${of('control')})`;
  });
  console.log(`| ${name} | ${figures.join(' | ')} | ${median(results[index].map(({ cores }) => cores)).toFixed(2)} |`);
}
await broker.stop();
process.exit(0);
