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
import type { Group, PublishStep, Step } from './program.js';

// Attacks on the broker's memory: each was seen to take a multiple of what it may take, or to end the process.

export function attacksOnMemory(scale: Scale, seconds: number): Named[] {
  return [
    routes(scale, seconds),
    longTopics(scale, seconds),
    unreadAnswers('one', 1, seconds),
    unreadAnswers('many', scale(60), seconds),
    tinyRecords(scale, seconds),
    fiveUsers(scale, seconds),
    fullQueues(scale, seconds),
  ];
}

/** A publisher's connection remembers who gets what: five hundred topics, with a thousand sessions each. */
function routes(scale: Scale, seconds: number): Named {
  const { listeners, publishers } = routeGroups;
  return {
    attack: program(
      'routes',
      '1 000 persistent sessions on the whole tree, and 1 000 connections that publish to 512 topics each.',
      seconds,
      listeners(scale(1_000), meet('away')),
      publishers(scale(1_000), 512, meet('away')),
    ),
    modest: modestly(
      { connected: 12, granted: 4, messages: 160 },
      listeners(4, step.connectAs('listener-{c}'), meet('back'), step.messages(40)),
      publishers(4, 10, meet('back')),
    ),
  };
}

const routeGroups = {
  listeners: (count: number, ...after: readonly Step[]): Group => {
    const join = [step.connectAs('listener-{c}'), subscribe('iotlab/{user}/#'), answers, step.disconnect];
    return group(count, ...join, ...after);
  },
  publishers: (count: number, topics: number, ...before: readonly Step[]): Group => {
    const publish: Step = { do: 'publish', topics: { text: 'iotlab/{user}/{c}/{n}', count: topics } };
    return group(count, connect, ...before, publish);
  },
};

function longTopics(scale: Scale, seconds: number): Named {
  const publish = (count: number): PublishStep => ({
    do: 'publish',
    topics: { text: 'iotlab/{user}/{c}/{n}/', bytes: 512, count },
  });
  return {
    attack: program(
      'long-topics',
      '990 connections with 512 topics of 512 bytes each.',
      seconds,
      group(scale(990), connect, meet('all'), publish(512)),
    ),
    modest: modestly(
      { connected: 6, messages: 50 },
      group(5, connect, meet('all'), publish(10)),
      group(1, connect, subscribe('iotlab/{user}/#'), answers, meet('all'), step.messages(50)),
    ),
  };
}

const neverReads = [connect, { do: 'reading', on: false } as const, meet('all')];
const pings: Step = { do: 'ping', count: 8_192 };

function unreadAnswers(name: string, connections: number, seconds: number): Named {
  return {
    attack: program(
      `unread-answers-of-${name}`,
      `PINGREQs in blocks of 16 KB on ${connections === 1 ? 'one connection' : `${connections} connections`} that never read.`,
      seconds,
      group(connections, ...neverReads, forEver(pings)),
    ),
    modest: modestly({ pingresps: 500 }, group(5, connect, { do: 'ping', count: 100 }, answers)),
  };
}

/** TLS hands out record by record, and what waits in a buffer of its own takes three hundred bytes for each of them. */
function tinyRecords(scale: Scale, seconds: number): Named {
  const connect: Step = { do: 'connect', hoards: true };
  const dribble = (count: number): Step => ({ do: 'dribble', of: { do: 'ping', count }, bytes: 2 * count });
  return {
    attack: program(
      'tiny-records',
      'A million TLS records of one byte, sent in one go on each of 100 connections, and again.',
      seconds,
      group(scale(100), connect, meet('all'), forEver(dribble(5_000))),
    ),
    modest: modestly({ connected: 2, pingresps: 100 }, group(2, connect, dribble(50), answers)),
  };
}

/** Each from an address of their own, as five people would. */
function fiveUsers(scale: Scale, seconds: number): Named {
  const { listeners, publishers } = routeGroups;
  const publish: Step = { do: 'publish', topics: { text: 'iotlab/{user}/{c}/{n}/', bytes: 512, count: 512 } };
  const users = [1, 2, 3, 4, 5];
  const by = (as: number, ...groups: readonly Group[]) => groups.map((it) => ({ ...it, as, atOnce: 5 }));
  return {
    attack: program(
      'five-users',
      'Five users fill memory together: sessions and routes, long topics, answers that are never read.',
      seconds,
      ...users.flatMap((as) =>
        by(
          as,
          listeners(scale(330), meet('all')),
          publishers(scale(330), 512, meet('all')),
          group(scale(330), connect, meet('all'), publish),
          group(scale(60), ...neverReads, forEver(pings)),
        ),
      ),
    ),
    modest: modestly(
      { connected: 15, messages: 50, pingresps: 50 },
      ...users.flatMap((as) =>
        by(
          as,
          group(1, connect, subscribe('iotlab/{user}/#'), answers, meet('all'), step.messages(10)),
          publishers(1, 10, meet('all')),
          group(1, connect, { do: 'ping', count: 10 }, answers),
        ),
      ),
    ),
  };
}

/** What is in memory is written, and has to be read again when the broker starts. */
function fullQueues(scale: Scale, seconds: number): Named {
  // A slash takes three bytes where ids are percent-encoded.
  const id = { text: 'kept/{c}/', bytes: 1_020, pad: '/' };
  const sessions = (count: number): Group => {
    const join = [step.connectAs(id), subscribe('iotlab/{user}/queue', { qos: 1 }), answers, step.disconnect];
    return group(count, ...join, meet('away'));
  };
  const publish = (count: number): Step => {
    return { do: 'publish', topics: { text: 'iotlab/{user}/queue', count }, bytes: 20, qos: 1 };
  };
  const publisher = (count: number) =>
    group(1, connect, meet('away'), publish(count), { do: 'answers', withinMs: 90_000 });
  return {
    attack: {
      ...program(
        'full-queues',
        '1 000 persistent sessions with ids of 1 020 bytes and 1 000 queued messages each; then the broker is restarted.',
        // What the queues take is limited by the disk, not by the attacker.
        Math.max(seconds, scale(90)),
        sessions(scale(999)),
        publisher(scale(1_000)),
      ),
      afterRestart: [],
    },
    modest: {
      ...modestly({ connected: 11, granted: 5, published: 20, messages: 100 }, sessions(5), publisher(20)),
      afterRestart: [group(5, step.connectAs(id), step.messages(20))],
    },
  };
}
