// `npm run bench:operators`: what operators do while 2 000 clients of 200 users are at work, and what that costs others.
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { build, ensureNodeModules } from './ensure.mjs';

const USERS = 200;
const CONNECTIONS = 2_000;
/** Messages of each user. */
const PER_SECOND = 10;
/** Of the one who is traced. */
const BUSY_PER_SECOND = 300;
const WINDOW_SECONDS = 6;
const KICKS = 40;
const TRACE_ROUNDS = 5;
/** What must hold. */
const MOST = { listMs: 200, othersP99Ms: 50, kickMs: 100 };

const root = fileURLToPath(new URL('..', import.meta.url));
ensureNodeModules(root);
build(root, 'tsconfig.json');
const { builtIn, prepare, start } = await import('../bench/brokers.mjs');
const { cpuMicroseconds } = await import('../bench/process.mjs');
const { openWorkshop } = await import('../bench/workshop.mjs');

const { folder, keep } = openWorkshop();

/** What a worker answers that is asked for a figure. */
const asked = (child, key) =>
  new Promise((resolve) => {
    const listen = (message) => {
      if (!(key in message)) return;
      child.off('message', listen);
      resolve(message[key]);
    };
    child.on('message', listen);
    child.send('tell');
  });

// Where the broker has it by itself: beside its users and its audit log.
const socketPath = join(folder, 'data', 'admin.sock');

function open(method, path, body) {
  const text = body === undefined ? '' : JSON.stringify(body);
  const headers = text === '' ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath, method, path: `/v1${path}`, headers, agent: false }, resolve);
    asking.on('error', reject);
    asking.end(text);
  });
}

async function ask(method, path, body) {
  const response = await open(method, path, body);
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  if (response.statusCode !== 200) throw new Error(`${method} ${path}: ${response.statusCode} ${text}`);
  return JSON.parse(text);
}

const quantile = (values, share) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) * share)] ?? 0;
const figure = (value) => value.toFixed(value >= 10 ? 0 : 1);
const rows = [];
let failed = false;

function tell(what, figures, holds = true) {
  rows.push(`| ${what} | ${figures} | ${holds ? '' : 'not kept'} |`);
  if (!holds) failed = true;
}

const { ca, users } = await prepare(folder, USERS + 1);
const broker = await start(
  'iotlab-broker',
  // All of them, and the probe, come from one address.
  builtIn(root, [`limits: { connectionsPerAddress: ${2 * CONNECTIONS} }`]),
  folder,
);
const target = { ca, port: broker.port, pid: broker.pid };
const members = users.slice(0, USERS);
const load = await keep({
  ...{ work: 'crowd', target, users: members, count: CONNECTIONS },
  ...{ perSecond: PER_SECOND, busyPerSecond: BUSY_PER_SECOND },
});
const probe = await keep({ work: 'probe', target, user: users[USERS], everyMs: 10 });
await sleep(3_000);

/** How long the probe's messages took while `run` ran, and how long that takes without any broker. */
async function othersDuring(run) {
  await asked(probe, 'tookMs');
  await run();
  const { messages, control } = await asked(probe, 'tookMs');
  const p99 = quantile(messages, 0.99);
  const controlP99 = quantile(control, 0.99);
  // A machine that others use too has who waits for a turn wait for theirs: that is not the broker's.
  // Where none came, nothing was measured.
  return {
    p99,
    holds: messages.length > 0 && p99 - controlP99 < MOST.othersP99Ms,
    inWords: `${figure(p99)} ms (${figure(controlP99)} ms)`,
  };
}

const deliveredBefore = await asked(load, 'delivered');
const cpuBefore = cpuMicroseconds(broker.pid);
const quiet = await othersDuring(() => sleep(WINDOW_SECONDS * 1_000));
const rate = ((await asked(load, 'delivered')) - deliveredBefore) / WINDOW_SECONDS;
const cores = (cpuMicroseconds(broker.pid) - cpuBefore) / 1e6 / WINDOW_SECONDS;
tell('nobody asks anything', `${figure(rate)} messages/s, ${cores.toFixed(2)} cores, others' p99 ${quiet.inWords}`);

const lists = [
  ...['n', 'login', 'received', 'sent', 'queued'].map((sort) => `/connections?sort=${sort}&limit=1000`),
  ...['connections', 'publishes', 'held'].map((sort) => `/users?sort=${sort}&limit=1000`),
];
for (const path of lists) {
  const tookMs = [];
  let listed = 0;
  const others = await othersDuring(async () => {
    const untilMs = performance.now() + 2_000;
    while (performance.now() < untilMs) {
      const startedMs = performance.now();
      let cursor = '';
      listed = 0;
      // All of it, page by page.
      do {
        const page = await ask('GET', `${path}${cursor === '' ? '' : `&cursor=${cursor}`}`);
        listed += (page.connections ?? page.users).length;
        cursor = page.next ?? '';
      } while (cursor !== '');
      tookMs.push(performance.now() - startedMs);
    }
  });
  const most = quantile(tookMs, 0.99);
  const figures = `${listed} in ${figure(quantile(tookMs, 0.5))} ms, p99 ${figure(most)} ms, ${tookMs.length} times in 2 s; others' p99 ${others.inWords}`;
  tell(`GET ${path.split('&')[0]}`, figures, most < MOST.listMs && others.holds);
}

const kicks = [];
const othersWhileKicked = await othersDuring(async () => {
  for (let i = 0; i < KICKS; i++) {
    // Not one of those that publish or get anything.
    const clientId = `crowd-${i}-5`;
    const closed = new Promise((resolve) => {
      const listen = (message) => {
        if (message.closed !== clientId) return;
        load.off('message', listen);
        resolve(message.at);
      };
      load.on('message', listen);
    });
    const startedAt = Date.now();
    await ask('DELETE', `/users/user${i}/connections?client=${clientId}`);
    kicks.push((await closed) - startedAt);
    await sleep(50);
  }
});
const slowestKick = Math.max(...kicks);
tell(
  `${KICKS} clients kicked`,
  `p50 ${figure(quantile(kicks, 0.5))} ms, slowest ${figure(slowestKick)} ms; others' p99 ${othersWhileKicked.inWords}`,
  slowestKick < MOST.kickMs && othersWhileKicked.holds,
);

/** CPU a message and the probe's p99, for a few seconds. */
async function measured() {
  const before = { delivered: await asked(load, 'delivered'), cpu: cpuMicroseconds(broker.pid) };
  const { p99, holds } = await othersDuring(() => sleep((WINDOW_SECONDS / 2) * 1_000));
  const delivered = (await asked(load, 'delivered')) - before.delivered;
  return { p99, holds, microseconds: (cpuMicroseconds(broker.pid) - before.cpu) / delivered };
}

/** With somebody who reads the trace of the busiest user. */
async function traced() {
  const { id } = await ask('POST', '/traces', { login: 'user0', seconds: 60 });
  const stream = await open('GET', `/traces/${id}/stream`);
  let events = 0;
  stream.on('data', (chunk) => (events += chunk.toString().split('\n').length - 1));
  const result = await measured();
  stream.destroy();
  await ask('DELETE', `/traces/${id}`).catch(() => {});
  return { ...result, events };
}

const without = [];
const withTrace = [];
for (let round = 0; round < TRACE_ROUNDS; round++) {
  without.push(await measured());
  withTrace.push(await traced());
}
const median = (results, key) =>
  quantile(
    results.map((result) => result[key]),
    0.5,
  );
const events = median(withTrace, 'events') / (WINDOW_SECONDS / 2);
tell(
  `a trace of one user, ${figure(events)} events/s`,
  `others' p99 ${figure(median(without, 'p99'))} → ${figure(median(withTrace, 'p99'))} ms; CPU a delivery of all ${median(without, 'microseconds').toFixed(1)} → ${median(withTrace, 'microseconds').toFixed(1)} µs`,
  withTrace.filter(({ holds }) => holds).length > TRACE_ROUNDS / 2,
);

console.log(
  `${CONNECTIONS} connections of ${USERS} users, each ${PER_SECOND} messages of QoS 1 a second, and one ${BUSY_PER_SECOND}; in brackets
the same way through a process that only copies.
`,
);
console.log(`| what | figures | |\n| --- | --- | --- |\n${rows.join('\n')}`);
await broker.stop();
process.exit(failed ? 1 : 0);
