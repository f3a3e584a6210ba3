// Runs alone: measures time.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { catalogue } from './swarm/catalogue.js';
import { Ground } from './swarm/ground.js';
import { line } from './swarm/report.js';
import { control, trial } from './swarm/trial.js';
import { verdict } from './swarm/verdict.js';

// Every attack that has a name, one after the other, each against a broker of its own; right before it, beside the quiet
// user, somebody does the same modestly, which has to work. Small and short here, so that all of them take less than a
// minute; at full strength: SWARM_STRENGTH=1 SWARM_SECONDS=10, or `npm run swarm -- --program all`.
const strength = Number(process.env.SWARM_STRENGTH ?? 0.1);
const seconds = Number(process.env.SWARM_SECONDS ?? 1);
const controlSeconds = Math.min(3, seconds / 3);

let ground: Ground | null = null;
after(() => ground?.[Symbol.asyncDispose]());

for (const { attack, modest } of catalogue(strength, seconds)) {
  test(`${attack.name}: ${attack.about}`, { timeout: 300_000 }, async (t) => {
    ground ??= await Ground.make();
    const broker = await ground.broker();
    try {
      const result = await trial(broker, attack, await control(broker, controlSeconds, modest), { aftermathMs: 200 });
      const judged = verdict(result);
      t.diagnostic(line(result, judged));
      if (judged.remark) t.diagnostic(judged.remark);
      const broken = judged.outcome === 'broken' ? judged.findings.map(({ text }) => text) : [];
      assert.deepEqual(broken, []);
    } finally {
      await broker.stop('SIGKILL');
    }
  });
}
