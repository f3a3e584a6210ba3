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

// Attacks on the broker's time: each was seen to hold up everybody for a third of a second to twelve seconds.

export function attacksOnTime(scale: Scale, seconds: number): Named[] {
  return [
    retainedWalk(scale, seconds),
    replacementCharacters(seconds),
    deepFilters(seconds),
    wills(scale, seconds),
    ...[64, 256, 1_024].map((kilobytes) => fanOut({ kilobytes, readers: 1_000, modestly: 10 }, scale, seconds)),
    // A firmware image for every node: as large as a packet may be.
    fanOut({ kilobytes: 16_383, readers: 100, modestly: 2 }, scale, seconds),
    shareGroups(scale, seconds),
    largeRetained(seconds),
    endOfSession(seconds),
  ];
}

function retainedWalk(scale: Scale, seconds: number): Named {
  const retain = (count: number): Step => {
    const topics = { text: 'iotlab/{user}/{n}', levels: 22, level: 'l', count };
    return { do: 'publish', topics, bytes: 8, qos: 1, retain: true };
  };
  const seek = (count: number) => subscribe({ text: 'iotlab/{user}', levels: 22, level: '+', tail: 'no{n}', count });
  return {
    attack: program(
      'retained-walk',
      'SUBSCRIBEs of 400 filters that walk 20 000 retained topics of 22 levels and match nothing.',
      seconds,
      group(1, connect, retain(scale(20_000)), answers, meet('kept')),
      group(1, connect, meet('kept'), forEver(seek(400), answers)),
    ),
    modest: modestly(
      { published: 50, granted: 11, messages: 50 },
      group(1, connect, retain(50), answers, meet('kept')),
      group(1, connect, meet('kept'), seek(10), answers, subscribe('iotlab/{user}/#'), step.messages(50)),
    ),
  };
}

/** A check whether a U+FFFD was sent or stands for bytes that are no UTF-8 must not begin anew with each filter. */
function replacementCharacters(seconds: number): Named {
  const filters = (count: number) => ({ text: 'iotlab/{user}/{n}/', bytes: 1_002, pad: '\ufffd', count });
  return {
    attack: program(
      'replacement-characters',
      'SUBSCRIBE and UNSUBSCRIBE of 1 MB with U+FFFD in every one of 1 000 filters.',
      seconds,
      group(1, connect, forEver(...thereAndBack(filters(1_000)))),
    ),
    modest: modestly({ granted: 20, unsubscribed: 1 }, group(1, connect, ...thereAndBack(filters(20)))),
  };
}

function deepFilters(seconds: number): Named {
  const filters = (count: number) => ({ text: 'iotlab/{user}/{n}', levels: 190, level: '+', count });
  return {
    attack: program(
      'deep-filters',
      'SUBSCRIBE and UNSUBSCRIBE of 2 400 filters of 190 levels, on two connections.',
      seconds,
      group(2, connect, forEver(...thereAndBack(filters(2_400)))),
    ),
    modest: modestly({ granted: 10, unsubscribed: 1 }, group(1, connect, ...thereAndBack(filters(10)))),
  };
}

const thereAndBack = (filters: TextRow) => [subscribe(filters), answers, step.unsubscribe(filters), answers];

function wills(scale: Scale, seconds: number): Named {
  const both = (count: number, after: Step) => [
    group(count, connect, subscribe('iotlab/{user}/will'), answers, meet('all'), after),
    group(count, { do: 'connect', will: { topic: 'iotlab/{user}/will', bytes: 30_000 } }, meet('all'), step.cut),
  ];
  return {
    attack: program(
      'wills',
      '490 Wills of 30 KB to 490 subscribers, fired at once.',
      seconds,
      ...both(scale(490), step.wait(seconds)),
    ),
    modest: modestly({ connected: 10, messages: 25 }, ...both(5, step.messages(5))),
  };
}

function fanOut(it: { kilobytes: number; readers: number; modestly: number }, scale: Scale, seconds: number): Named {
  const { kilobytes } = it;
  const publish: Step = { do: 'publish', topics: 'iotlab/{user}/all', bytes: kilobytes * 1_024, qos: 1 };
  const readers = (count: number, after: Step) =>
    group(count, connect, subscribe('iotlab/{user}/all'), answers, meet('all'), after);
  return {
    attack: program(
      `fan-out-${kilobytes}k`,
      `${it.readers === 1_000 ? '1 000' : it.readers} readers of one topic, and messages of ${kilobytes} KB.`,
      seconds,
      readers(scale(it.readers - 1), step.wait(seconds)),
      group(1, connect, meet('all'), forEver(publish, answers)),
    ),
    modest: modestly(
      {
        connected: it.modestly + 1,
        published: 1,
        messages: it.modestly,
        messageBytes: it.modestly * kilobytes * 1_024,
      },
      readers(it.modestly, step.messages(1)),
      group(1, connect, meet('all'), publish, answers),
    ),
  };
}

function shareGroups(scale: Scale, seconds: number): Named {
  const publish: Step = { do: 'publish', topics: { text: 'iotlab/{user}/x', count: 100 }, bytes: 20, qos: 1 };
  const members = (count: number, groups: number, ...after: readonly Step[]) => {
    const filter = `$share/g{c%${groups}}/iotlab/{user}/x`;
    const join = [step.connectAs('member-{c}'), subscribe(filter, { qos: 1 }), answers, step.disconnect];
    return group(count, ...join, meet('away'), ...after);
  };
  return {
    attack: program(
      'share-groups',
      '1 000 absent members in 20 share groups, and messages to them as fast as they are taken.',
      seconds,
      members(scale(999), 20),
      group(1, connect, meet('away'), forEver(publish, answers)),
    ),
    modest: modestly(
      // Each of the hundred goes to one member of each group, and is there when that one comes back.
      { published: 100, messages: 200 },
      members(4, 2, meet('sent'), step.connectAs('member-{c}'), step.messages(50)),
      group(1, connect, meet('away'), publish, answers, meet('sent')),
    ),
  };
}

function largeRetained(seconds: number): Named {
  const retain = (megabytes: number, count: number): Step => {
    const bytes = megabytes * 1_024 * 1_024;
    return { do: 'publish', topics: { text: 'iotlab/{user}/image/{n}', count }, bytes, qos: 1, retain: true };
  };
  return {
    attack: program(
      'large-retained',
      'Retained messages of 8 MB on two connections, as fast as they are taken.',
      seconds,
      group(2, connect, forEver(retain(8, 3))),
    ),
    modest: modestly(
      { published: 2, granted: 1, messages: 2, messageBytes: 2 * 1_024 * 1_024 },
      group(1, connect, retain(1, 2), answers, meet('kept')),
      group(1, connect, meet('kept'), subscribe('iotlab/{user}/image/#'), step.messages(2)),
    ),
  };
}

function endOfSession(seconds: number): Named {
  const many = (count: number) => subscribe({ text: 'iotlab/{user}/{n}/+/x', count });
  const plain = (count: number) => [connect, many(count), answers, step.cut];
  const kept = (count: number) => {
    const end = [step.cut, step.forget('short-lived'), step.disconnect];
    return [step.connectAs('short-lived'), many(count), answers, ...end];
  };
  return {
    attack: program(
      'end-of-session',
      'A session of 9 000 filters is ended, and again; one that is kept, and one that is not.',
      seconds,
      group(1, forEver(...plain(9_000))),
      group(1, forEver(...kept(9_000))),
    ),
    modest: modestly({ connected: 3, granted: 40 }, group(1, ...plain(20)), group(1, ...kept(20))),
  };
}
