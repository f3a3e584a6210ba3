import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { Actor } from './actor.js';
import type { Target } from './link.js';
import { Meetings } from './meetings.js';
import { emptyTally, type Group, meetings, type Tally } from './program.js';

// A process of its own, of low priority: does what one program says and tells what came of it. Ends with its parent.

export interface AttackJob {
  readonly target: Target;
  readonly groups: readonly Group[];
  readonly seconds: number;
  /** Until the last meeting; a thousand logins take a while on a busy machine. */
  readonly setUpSeconds: number;
  readonly user: string;
  readonly password: string;
}

export interface AttackReport {
  readonly tally: Tally;
  /** Until all connections had met for the last time, and from there to the end. */
  readonly setUpMs: number;
  readonly attackMs: number;
  /** Whether every connection came to the end of its steps. */
  readonly finished: boolean;
}

const defaultAtOnce = 20;

async function attack(job: AttackJob): Promise<AttackReport> {
  const { target, groups, seconds, setUpSeconds, user, password } = job;
  const tally = emptyTally();
  const places = new Meetings();
  const context = tls.createSecureContext({ ca: target.ca });
  const cast: { readonly actor: Actor; readonly group: Group; leave(): void }[] = [];
  for (const group of groups) {
    const stage = {
      target,
      context,
      // Attackers that act together are different users, from different addresses.
      localAddress: group.as === undefined ? '127.0.0.1' : `127.0.1.${group.as}`,
      user: `${user}${group.as ?? ''}`,
      password,
      tally,
      connectTurn: turns(group.atOnce ?? defaultAtOnce),
    };
    for (let number = 0; number < group.connections; number += 1) {
      const visit = places.visit(meetings(group.steps));
      cast.push({ group, actor: new Actor(stage, number, (at) => visit.arrive(at)), leave: () => visit.leave() });
    }
  }
  const startMs = performance.now();
  let finished = false;
  const runs = cast.map(({ actor, group, leave }) => actor.run(group.steps).finally(leave));
  const done = Promise.all(runs).then(() => {
    finished = true;
  });
  const late = async () => {
    await Promise.race([places.allMet, sleep(setUpSeconds * 1_000)]);
    await sleep(seconds * 1_000);
  };
  await Promise.race([done, late()]);
  for (const { actor } of cast) actor.stop();
  const endMs = performance.now();
  const metMs = places.lastAtMs ?? startMs;
  return { tally, setUpMs: metMs - startMs, attackMs: endMs - metMs, finished };
}

/** Lets so many in at the same time. */
function turns(atOnce: number): () => Promise<() => void> {
  let free = atOnce;
  const waiting: (() => void)[] = [];
  const giveBack = () => {
    const next = waiting.shift();
    if (next) next();
    else free += 1;
  };
  return async () => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    return giveBack;
  };
}

process.once('message', (job) => {
  attack(job as AttackJob).then(
    (report) => process.send?.({ report }),
    (error) => process.send?.({ error: String(error) }),
  );
});
process.once('disconnect', () => process.exit());
