// Long, runs alone: watches a broker for seconds, and measures time.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Ground } from './swarm/ground.js';
import type { Program } from './swarm/program.js';
import { control, trial } from './swarm/trial.js';
import { verdict } from './swarm/verdict.js';

// A swarm that finds nothing promises nothing unless it would have found something: here the harm is done on purpose.
let ground: Ground;
before(async () => {
  ground = await Ground.make();
});
after(() => ground[Symbol.asyncDispose]());

const harmless: Program = {
  name: 'harmless',
  about: 'One connection that does next to nothing.',
  seconds: 2,
  groups: [
    {
      connections: 1,
      steps: [
        { do: 'connect' },
        { do: 'subscribe', filters: 'iotlab/{user}/x', qos: 1 },
        { do: 'publish', topics: 'iotlab/{user}/x', bytes: 10, qos: 2 },
        { do: 'answers' },
        { do: 'messages', count: 1 },
        { do: 'wait', ms: 1_500 },
      ],
    },
  ],
};

/** `harm` is done to the broker one second after the attack began. */
async function findings(harm: (pid: number) => void): Promise<{ kinds: string[]; outcome: string; messages: number }> {
  const broker = await ground.broker();
  try {
    const alone = await control(broker, 0.5);
    const timer = setTimeout(() => harm(broker.pid), 1_000);
    const result = await trial(broker, harmless, alone);
    clearTimeout(timer);
    const { outcome, findings } = verdict(result);
    return { outcome, kinds: findings.map(({ kind }) => kind), messages: result.attack.tally.messages };
  } finally {
    await broker.stop('SIGKILL');
  }
}

test('what is harmless is found to be harmless', async () => {
  const { outcome, kinds, messages } = await findings(() => {});
  assert.notEqual(outcome, 'broken', kinds.join());
  assert.equal(messages, 1);
});

test('a broker that stands still for half a second is found out', async () => {
  const { kinds } = await findings((pid) => {
    process.kill(pid, 'SIGSTOP');
    setTimeout(() => process.kill(pid, 'SIGCONT'), 500);
  });
  assert.ok(kinds.includes('delivery') && kinds.includes('puback'), kinds.join());
});

test('a broker that ends is found out', async () => {
  const { outcome, kinds } = await findings((pid) => process.kill(pid, 'SIGKILL'));
  assert.equal(outcome, 'broken');
  assert.ok(kinds.includes('died') && kinds.includes('lost') && kinds.includes('disconnected'), kinds.join());
});
