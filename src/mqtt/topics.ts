/**
 * Topic names and topic filters, as every part of the broker understands them. Nothing here allocates unless it says
 * so: these functions run for every message.
 */

/** Levels a topic name or filter may have; deeper ones would only serve to make trees walk for long. */
export const maxTopicLevels = 200;

/** UTF-8 bytes of a topic name or filter: the two-byte length field of the protocol [MQTT-4.7.3-3]. */
export const maxTopicBytes = 65_535;

const slash = 0x2f;
const plus = 0x2b;
const hash = 0x23;
const dollar = 0x24;

const sharePrefix = '$share/';

export interface Share {
  readonly group: string;
  readonly filter: string;
}

/** A topic that a message may be published to: not empty, no wildcard, no U+0000 [MQTT-3.3.2-2] [MQTT-4.7.3-1]. */
export function isValidTopicName(topic: string): boolean {
  return isWellFormed(topic, false);
}

/** How many levels a topic or filter has. */
export function levelsOf(topic: string): number {
  let levels = 1;
  for (let at = topic.indexOf('/'); at !== -1; at = topic.indexOf('/', at + 1)) levels += 1;
  return levels;
}

/**
 * A filter that may be subscribed to: wildcards stand alone in their level, `#` only in the last one [MQTT-4.7.1-2]
 * [MQTT-4.7.1-3]. A filter that begins with `$share/` must be a whole shared subscription [MQTT-4.8.2-1].
 */
export function isValidTopicFilter(filter: string): boolean {
  if (!filter.startsWith(sharePrefix)) return isWellFormed(filter, true);
  return filter.length <= maxTopicBytes && parseShare(filter) !== null;
}

/**
 * Takes `$share/<group>/<filter>` apart. Null for everything else, also for what begins with `$share/` and has no
 * group, a group with a wildcard [MQTT-4.8.2-2], or no valid filter. Allocates.
 */
export function parseShare(filter: string): Share | null {
  if (!filter.startsWith(sharePrefix)) return null;
  const end = filter.indexOf('/', sharePrefix.length);
  if (end <= sharePrefix.length) return null;
  const group = filter.slice(sharePrefix.length, end);
  const rest = filter.slice(end + 1);
  return isWellFormed(group, false) && isWellFormed(rest, true) ? { group, filter: rest } : null;
}

/**
 * Does a (valid) topic name match a (valid) filter? `a/#` matches `a` too, and a wildcard in the first level never
 * matches a topic that begins with `$` [MQTT-4.7.2-1]. Shared subscriptions are judged by their filter: take them
 * apart first.
 */
export function topicMatchesFilter(topic: string, filter: string): boolean {
  const filterLength = filter.length;
  const topicLength = topic.length;
  let t = 0;
  let f = 0;
  if (topicLength > 0 && topic.charCodeAt(0) === dollar && isWildcard(filter.charCodeAt(0))) return false;
  while (f < filterLength) {
    const code = filter.charCodeAt(f);
    if (code === hash) return true;
    if (code === plus) {
      f += 1;
      while (t < topicLength && topic.charCodeAt(t) !== slash) t += 1;
    } else {
      while (f < filterLength && filter.charCodeAt(f) !== slash) {
        if (t >= topicLength || topic.charCodeAt(t) !== filter.charCodeAt(f)) return false;
        f += 1;
        t += 1;
      }
      if (t < topicLength && topic.charCodeAt(t) !== slash) return false;
    }
    // Both stand at the end of a level.
    if (t === topicLength) return f === filterLength || (f + 2 === filterLength && filter.charCodeAt(f + 1) === hash);
    if (f === filterLength) return false;
    f += 1;
    t += 1;
  }
  // The filter ended behind a slash: its last level is empty, so the topic's must be.
  return t === topicLength;
}

/** The first two levels of a topic or filter: `iotlab/<login>`, one user's tree. */
export function firstTwoLevels(topic: string): string {
  const first = topic.indexOf('/');
  if (first === -1) return topic;
  const second = topic.indexOf('/', first + 1);
  return second === -1 ? topic : topic.slice(0, second);
}

function isWildcard(code: number): boolean {
  return code === plus || code === hash;
}

const unusual = /[\0+#\u0080-\uffff]/;

/** One pass over the text: bytes, levels, characters that may not be there, and where wildcards may stand. */
function isWellFormed(text: string, wildcards: boolean): boolean {
  const { length } = text;
  if (length === 0 || length > maxTopicBytes) return false;
  // Almost every topic is short and plain, and a regular expression sees that faster than the loop.
  if (length < maxTopicLevels && !unusual.test(text)) return true;
  let bytes = 0;
  let levels = 1;
  for (let i = 0; i < length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === 0) return false;
    if (code === slash) levels += 1;
    else if (isWildcard(code)) {
      if (!wildcards) return false;
      if (i > 0 && text.charCodeAt(i - 1) !== slash) return false;
      if (i + 1 < length && (code === hash || text.charCodeAt(i + 1) !== slash)) return false;
    }
    if (code < 0x80) bytes += 1;
    else if (code < 0x800) bytes += 2;
    else if (code < 0xd800 || code > 0xdfff) bytes += 3;
    else {
      // Half a surrogate pair is no character and has no UTF-8 form [MQTT-1.5.3-1].
      const next = i + 1 < length ? text.charCodeAt(i + 1) : 0;
      if (code > 0xdbff || next < 0xdc00 || next > 0xdfff) return false;
      bytes += 4;
      i += 1;
    }
  }
  return bytes <= maxTopicBytes && levels <= maxTopicLevels;
}

/** A filter matches one topic, or many, or is shared by several subscribers. */
export function filterKind(filter: string): 'plain' | 'wildcard' | 'shared' {
  if (filter.startsWith('$share/')) return 'shared';
  return filter.includes('+') || filter.endsWith('#') ? 'wildcard' : 'plain';
}
