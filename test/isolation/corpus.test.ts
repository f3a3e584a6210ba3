// Long, runs alone: repeats what was found for as long as it was found with, and measures time.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readCorpus } from './swarm/corpus.js';
import { type Broker, Ground } from './swarm/ground.js';
import { line } from './swarm/report.js';
import { type Control, control, trial } from './swarm/trial.js';
import { verdict } from './swarm/verdict.js';

// What the swarm once found: programs that did harm to another user. They are replayed against one broker, each as a user
// of its own, and share the time between them. For as long as they were found with: `npm run swarm -- --replay FILE`.
const allTogetherSeconds = 16;
const overheadSeconds = 0.8;

const corpus = await readCorpus();
const share = allTogetherSeconds / Math.max(1, corpus.length) - overheadSeconds;

let ground: Ground;
let broker: Broker;
let alone: Control;
if (corpus.length > 0) {
  before(async () => {
    ground = await Ground.make();
    broker = await ground.broker();
    alone = await control(broker, 1);
  });
  after(() => ground[Symbol.asyncDispose]());
}

for (const [index, program] of corpus.entries()) {
  test(`${program.name} does no harm any more`, { timeout: 120_000 }, async (t) => {
    // One that ended it must not stand in the way of the others.
    if (!broker.alive) broker = await ground.broker();
    const bounded = { ...program, seconds: Math.max(0.5, Math.min(program.seconds, share)) };
    const options = { as: index + 1, setUpSeconds: Math.max(2, share), aftermathMs: 100 };
    const result = await trial(broker, bounded, alone, options);
    const judged = verdict(result);
    t.diagnostic(line(result, judged));
    if (judged.remark) t.diagnostic(judged.remark);
    const broken = judged.outcome === 'broken' ? judged.findings.map(({ text }) => text) : [];
    assert.deepEqual(broken, [], `${program.about}\nAlone and for longer: npm run swarm -- --replay FILE`);
  });
}
