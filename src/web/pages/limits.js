import { bytesOf, element, numberOf, say, sentence, timeOf } from './dom.js';
import { texts } from './texts.js';

const words = texts.me;

export const limitName = (limit) => words.limitNames[limit] ?? limit;

/** A bar for each limit of a user. */
export function limitBars(uses) {
  return uses.map(({ limit, used, most }) => {
    const meter = element('meter', {
      min: 0,
      max: most,
      high: most * 0.8,
      value: used,
      'aria-label': limitName(limit),
    });
    const text = say(words.used, { used: amountOf(limit, used), most: amountOf(limit, most) });
    return element(
      'div',
      { class: 'limit' },
      element('span', {}, limitName(limit)),
      element('span', { class: 'soft' }, text),
      meter,
    );
  });
}

/** The same for the rates that are limited, held against the last minute; and how long they have made messages wait. */
export function rateBars({ rates, perSecond }) {
  const uses = rates.flatMap(({ direction, messagesPerSecond, bytesPerSecond }) => {
    const [inOrOut, what] = direction === 'in' ? ['In', 'Received'] : ['Out', 'Sent'];
    return [
      { limit: `messages${inOrOut}PerSecond`, used: perSecond[`publishes${what}`], most: messagesPerSecond },
      { limit: `bytes${inOrOut}PerSecond`, used: perSecond[`bytes${what}`], most: bytesPerSecond },
    ];
  });
  const waited = rates
    .filter(({ slowedMs }) => slowedMs > 0)
    .map(({ direction, slowed, slowedMs, waiting }) => {
      const text = say(words.slowedFor[direction], { seconds: numberOf(Math.ceil(slowedMs / 1_000)) });
      const now = slowed ? ` ${say(words.slowedNow, { waiting: numberOf(waiting) })}` : '';
      return element('p', { class: 'soft' }, text + now);
    });
  return [...limitBars(uses.filter(({ most }) => most !== null)), ...waited];
}

/** What operators have decided, in sentences: of a user, and of groups of his. */
export function decisionInWords({ group, limits, until, reason }, { override, groupOverride, forever }) {
  const list = Object.entries(limits).map(([name, value]) => {
    const unlimited = value === 0 && name.endsWith('PerSecond');
    return `${limitName(name)} ${unlimited ? words.noLimit : amountOf(name, value)}`;
  });
  const text = say(group === undefined ? override : groupOverride, {
    group,
    until: until === null ? forever : timeOf(until),
    limits: list.join(', '),
  });
  return reason === '' ? text : `${text} ${say(words.decidedWhy, { reason: sentence(reason) })}`;
}

function amountOf(limit, value) {
  return /bytes|memory/i.test(limit) ? bytesOf(value) : numberOf(value);
}
