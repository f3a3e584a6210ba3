import { bytesOf, element, numberOf, say } from './dom.js';
import { texts } from './texts.js';

const words = texts.me;

export const limitName = (limit) => words.limitNames[limit] ?? limit;

/** A bar for each limit of a user. */
export function limitBars(uses) {
  return uses.map(({ limit, used, most }) => {
    const shown = /Bytes|memory/.test(limit) ? bytesOf : numberOf;
    const meter = element('meter', {
      min: 0,
      max: most,
      high: most * 0.8,
      value: used,
      'aria-label': limitName(limit),
    });
    const text = say(words.used, { used: shown(used), most: shown(most) });
    return element(
      'div',
      { class: 'limit' },
      element('span', {}, limitName(limit)),
      element('span', { class: 'soft' }, text),
      meter,
    );
  });
}
