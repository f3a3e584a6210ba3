import type { OperatorStep } from './program.js';
import type { Random } from './random.js';

const share = 0.35;

/** What an operator does meanwhile, in some programs; null in the others. */
export function operatorSteps(random: Random): OperatorStep[] | null {
  if (!random.chance(share)) return null;
  const steps: OperatorStep[] = [];
  for (let count = random.between(1, 5); count > 0; count -= 1) steps.push(...act(random));
  // Otherwise it would be nothing but acts, as fast as they are answered.
  if (!steps.some((step) => step.do === 'pause')) steps.push({ do: 'pause', ms: random.between(50, 1_000) });
  return steps;
}

function act(random: Random): OperatorStep[] {
  // An operator is no attacker: what he does is at the pace of scripts.
  const pause: OperatorStep = { do: 'pause', ms: Math.max(50, random.near(1_000)) };
  switch (random.between(1, 7)) {
    case 1:
    case 2:
      return [{ do: 'limits', limits: rates(random) }, pause];
    case 3:
      return [{ do: 'usual-limits' }];
    case 4:
    case 5:
      return [{ do: 'kick' }, pause];
    case 6:
      return [{ do: 'ban', seconds: random.between(1, 3) }, pause, { do: 'unban' }];
    default:
      return [{ do: 'reload', limits: { ...rates(random), ...others(random) } }, { do: 'pause', ms: 500 }, pause];
  }
}

/** At least one. */
function rates(random: Random): Record<string, number> {
  const all = { messagesInPerSecond: 1_000, bytesInPerSecond: 1_048_576, messagesOutPerSecond: 1_000 } as const;
  const limits: Record<string, number> = { bytesOutPerSecond: random.near(1_048_576) };
  for (const [name, most] of Object.entries(all)) if (random.chance(0.5)) limits[name] = random.near(most);
  if (random.chance(0.3)) limits.burstMs = Math.max(100, random.near(10_000));
  return limits;
}

/** Less than the attacker has already, perhaps. */
function others(random: Random): Record<string, number> {
  const most = {
    ...{
      connectionsPerUser: 1_000,
      sessionsPerUser: 1_000,
      subscriptionsPerUser: 50_000,
      retainedMessagesPerUser: 20_000,
    },
    ...{ queuedMessagesPerUser: 100_000, memoryPerUser: 67_108_864 },
  };
  const least: Partial<Record<string, number>> = { memoryPerUser: 1_048_576 };
  const limits: Record<string, number> = {};
  for (const [name, usual] of Object.entries(most)) {
    if (random.chance(0.3)) limits[name] = Math.max(least[name] ?? 1, Math.min(usual, random.near(usual)));
  }
  return limits;
}
