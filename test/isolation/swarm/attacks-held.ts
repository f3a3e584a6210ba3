import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { catalogue } from './catalogue.js';
import { Ground } from './ground.js';
import { line } from './report.js';
import { control, trial } from './trial.js';
import { verdict } from './verdict.js';

// Small and short in the tests; at full strength: SWARM_STRENGTH=1 SWARM_SECONDS=10, or `npm run swarm -- --program all`.
const strength = Number(process.env.SWARM_STRENGTH ?? 0.1);
const seconds = Number(process.env.SWARM_SECONDS ?? 1);
const controlSeconds = Math.min(3, seconds / 3);

/** At least one for each promise: the broker's time, its memory, log-ins of others, the start after it. */
export const representatives: readonly string[] = ['retained-walk', 'fan-out-1024k', 'invented-logins', 'full-queues'];

/**
 * Tests: each attack of these names, one after the other, against a broker of its own; right before it, beside the quiet
 * user, somebody does the same modestly, which has to work.
 */
export function attacksHeld(wanted: (name: string) => boolean): void {
  let ground: Ground | null = null;
  after(() => ground?.[Symbol.asyncDispose]());

  for (const { attack, modest } of catalogue(strength, seconds).filter(({ attack }) => wanted(attack.name))) {
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
}
