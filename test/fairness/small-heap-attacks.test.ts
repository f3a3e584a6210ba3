// Long: seven attacks that fill memory for as long as it takes, each with a broker of its own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { catalogue } from '../isolation/swarm/catalogue.js';
import { Ground } from '../isolation/swarm/ground.js';
import { control, trial } from '../isolation/swarm/trial.js';

/** As much as a test has time for; `npm run swarm -- --program all --heap 128` takes all of it. */
const strength = 0.25;
const setUpSeconds = 8;

for (const [heapMb, name] of [
  [64, 'five-users'],
  [64, 'many-filters'],
  [128, 'five-users'],
  [128, 'routes'],
  [128, 'long-topics'],
  [128, 'unread-answers-of-many'],
  [128, 'many-retained'],
] as const) {
  test(`${name}: with a heap of ${heapMb} MB the process lives, and nobody else loses anything`, async (t) => {
    await using ground = await Ground.make(heapMb);
    const broker = await ground.broker();
    const { attack } = catalogue(strength, 2).find((each) => each.attack.name === name)!;
    const alone = await control(broker, 0.5);
    const { ending, watch, attack: done } = await trial(broker, attack, alone, { setUpSeconds });
    t.diagnostic(`${watch.peakMb.toFixed(0)} MB; ${done.tally.connected} connections, ${done.tally.closed} closed`);
    assert.equal(ending, null);
    assert.deepEqual([watch.lost, watch.reordered, watch.closed], [0, 0, 0]);
  });
}
