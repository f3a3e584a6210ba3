import * as step from './named.js';
import {
  answers,
  connect,
  forEver,
  group,
  meet,
  modestly,
  type Named,
  program,
  type Scale,
  subscribe,
} from './named.js';
import type { Step, TextRow } from './program.js';

// What a user does who gives no thought to the others: nothing of it is beyond a limit, there is only much of it.

export function floods(scale: Scale, seconds: number): Named[] {
  return [
    stuckReader(seconds),
    comingAndGoing(seconds),
    inventedLogins(scale, seconds),
    manyFilters(seconds),
    manyRetained(seconds),
    slowedAndGone(seconds),
  ];
}

function stuckReader(seconds: number): Named {
  const publish = (count: number): Step => {
    return { do: 'publish', topics: { text: 'iotlab/{user}/noise', count }, bytes: 20 };
  };
  const reader = [connect, subscribe('iotlab/{user}/#', { qos: 1 }), answers];
  return {
    attack: program(
      'stuck-reader',
      'A subscriber that never reads, and ten publishers that never rest.',
      seconds,
      group(1, ...reader, { do: 'reading', on: false }, meet('all'), step.wait(seconds)),
      group(10, connect, meet('all'), forEver(publish(500))),
    ),
    modest: modestly(
      { connected: 3, messages: 100 },
      group(1, ...reader, meet('all'), step.messages(100)),
      group(2, connect, meet('all'), publish(50)),
    ),
  };
}

function comingAndGoing(seconds: number): Named {
  return {
    attack: program(
      'coming-and-going',
      'Twenty that connect and are gone, as fast as possible.',
      seconds,
      group(20, forEver(connect, step.cut)),
    ),
    modest: modestly({ connected: 4 }, group(2, connect, step.cut, connect, step.disconnect)),
  };
}

/** The quiet user logs in from another address meanwhile. */
function inventedLogins(scale: Scale, seconds: number): Named {
  const ghost: Step = { do: 'connect', login: 'ghost{c}x{r}', password: 'wrong' };
  return {
    attack: program('invented-logins', '300 logins at a time that nobody has.', seconds, {
      ...group(scale(300), forEver(ghost)),
      atOnce: 300,
    }),
    modest: modestly({ connected: 2, refused: 2 }, group(2, ghost, connect)),
  };
}

/** Who goes while he has still to pay for what he sent, and comes again, and is kicked now and then. */
function slowedAndGone(seconds: number): Named {
  const publish = (count: number, bytes: number): Step => {
    return { do: 'publish', topics: { text: 'iotlab/{user}/{n}', count }, bytes };
  };
  const burst = (count: number) => [connect, publish(count, 5_000), step.wait(0.2), step.cut, step.wait(1.5)];
  const attack = program(
    'slowed-and-gone',
    'Who may send 500 bytes a second sends ten times as many and is gone, again and again, and is kicked now and then.',
    seconds,
    group(5, forEver(...burst(3))),
  );
  return {
    attack: {
      ...attack,
      operator: [
        { do: 'limits', limits: { bytesInPerSecond: 500, messagesOutPerSecond: 10, burstMs: 500 } },
        { do: 'pause', ms: 3_000 },
        { do: 'kick' },
        { do: 'pause', ms: 1_500 },
      ],
    },
    modest: modestly({ connected: 4 }, group(2, ...burst(1), connect)),
  };
}

function manyFilters(seconds: number): Named {
  const filters = (count: number): TextRow => ({ text: 'iotlab/{user}/+/{n}/#', count });
  const round = (count: number, perPacket: number): Step[] => [
    ...[subscribe(filters(count), { qos: 1, perPacket }), answers],
    ...[{ do: 'unsubscribe', filters: filters(count), perPacket } as const, answers],
  ];
  return {
    attack: program(
      'many-filters',
      '10 000 filters, a thousand in a packet, and away with them, and again.',
      seconds,
      group(1, connect, forEver(...round(10_000, 1_000))),
    ),
    modest: modestly({ granted: 100, unsubscribed: 10 }, group(1, connect, ...round(100, 10))),
  };
}

function manyRetained(seconds: number): Named {
  const retain = (count: number): Step => {
    const topics = { text: 'iotlab/{user}/state/{n}', count };
    return { do: 'publish', topics, bytes: 4, qos: 1, retain: true };
  };
  return {
    attack: program(
      'many-retained',
      '10 000 retained messages, and the same topics again.',
      seconds,
      group(1, connect, forEver(retain(10_000), answers)),
    ),
    modest: modestly(
      { published: 20, granted: 1, messages: 10 },
      group(1, connect, retain(10), answers, retain(10), answers, meet('kept')),
      group(1, connect, meet('kept'), subscribe('iotlab/{user}/state/#'), step.messages(10)),
    ),
  };
}
