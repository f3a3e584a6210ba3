// `npm run failover`: two machines with every shard, HAProxy and a pair of PostgreSQLs, all of them real and on this
// machine; faults under load, and what they cost.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, ensureDebianPackages, ensureNodeModules } from './ensure.mjs';
import { readOptions } from './options.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const help = `npm run failover -- [--rounds N] [--users N] [--shards N] [--only WORD]

Two machines with a broker of every shard, HAProxy and a pair of PostgreSQLs, all of them real and on this machine. Each
user publishes 40 messages a second at QoS 1 and as many at QoS 2 to a client that is there and to one that is away. Faults
come one after the other; the table says how long users were out of service, and at the end what must not be is counted.

  --rounds N   how many faults (12: each of them twice)
  --users N    how many users (10)
  --shards N   how many shards (2)
  --only WORD  only the faults whose name contains this`;

const options = readOptions({
  help,
  options: {
    rounds: { type: 'string', default: '12' },
    users: { type: 'string', default: '10' },
    shards: { type: 'string', default: '2' },
    only: { type: 'string', default: '' },
  },
  positive: ['rounds', 'users', 'shards'],
});
process.chdir(root);
ensureNodeModules(root);
ensureDebianPackages({ haproxy: 'haproxy', '/usr/lib/postgresql': 'postgresql' });
build(root, 'tsconfig.test.json');

const support = (name) => import(join(root, 'build', 'test', 'support', `${name}.js`));
const { startScene } = await support('failover-scene');
const { acknowledgedBy } = await support('failover-load');
const { allFaults, runRound } = await support('faults');

const [rounds, count, shards] = [Number(options.rounds), Number(options.users), Number(options.shards)];
const logins = Array.from({ length: count }, (_, number) => `user${number}`);
const endings = [];
const scope = { after: (end) => endings.push(end) };
let interrupted = false;
// The round comes to its end, and so do all processes.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    interrupted = true;
  });
}

/** By fault, what its rounds have shown. */
const outcomes = new Map();
let failed = false;
try {
  const scene = await startScene(scope, { shards, logins, databases: 2, durable: true });
  const faults = allFaults(shards).filter(({ name }) => name.includes(options.only));
  for (let round = 0; round < rounds && !interrupted; round++) {
    const fault = faults[round % faults.length];
    const outcome = await runRound(fault, scene);
    if (!outcomes.has(fault.name)) outcomes.set(fault.name, []);
    outcomes.get(fault.name).push(outcome);
    const { hit, outagesMs, ackGapMs, othersHit } = outcome;
    const out = outagesMs.length === 0 ? 'nobody out' : `${hit} out for up to ${Math.max(...outagesMs)} ms`;
    const others = othersHit === 0 ? '' : `; and of other shards ${othersHit} out`;
    console.error(`${round + 1}/${rounds} ${fault.name}: ${out}, acknowledgements waited ${ackGapMs} ms${others}`);
    if (othersHit > 0 || (fault.connected && hit > 0)) failed = true;
  }
  const wrong = await scene.finish();
  if (Object.values(wrong).some((number) => number > 0)) failed = true;
  print(outcomes, acknowledgedBy(scene.users), wrong);
} finally {
  for (const end of endings.reverse()) await end();
}
process.exit(failed ? 1 : 0);

function print(outcomes, acknowledged, wrong) {
  const title = [
    'event',
    'rounds',
    'out of service, ms (median, longest)',
    'acknowledgements waited',
    'of other shards out',
    'and waited',
    'promised',
  ];
  const rows = [...outcomes.values()].map((list) => {
    const outages = list.flatMap(({ outagesMs }) => outagesMs).sort((a, b) => a - b);
    const gaps = list.map(({ ackGapMs }) => ackGapMs);
    const { name, limitMs } = list[0].fault;
    return [
      ...[name, list.length, outages.length === 0 ? 'nobody' : `${outages[outages.length >> 1]}, ${outages.at(-1)}`],
      ...[Math.max(...gaps), list.reduce((sum, { othersHit }) => sum + othersHit, 0)],
      ...[Math.max(...list.map(({ othersAckGapMs }) => othersAckGapMs)), limitMs],
    ];
  });
  console.log([title, title.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n'));
  console.log(
    `\n${acknowledged} messages acknowledged. ${Object.entries(wrong)
      .map(([name, number]) => `${name}: ${number}`)
      .join(', ')}`,
  );
}
