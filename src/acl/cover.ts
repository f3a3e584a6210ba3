const slash = 0x2f;
const plus = 0x2b;
const hash = 0x23;
const dollar = 0x24;

/**
 * Does `rule` match every topic that `filter` can match? Both are valid filters. Walks level by level without
 * allocating:
 *
 * - `#` in the rule covers whatever is left of the filter, also nothing (`a/#` covers `a`);
 * - `+` in the rule covers one level, be it text or `+`, but never a `#`;
 * - text covers the same text only: a `+` or `#` in the filter can match something else;
 * - in the first level a wildcard covers nothing that begins with `$` [MQTT-4.7.2-1].
 */
export function filterCovers(rule: string, filter: string): boolean {
  if (filter.length === 0) return false;
  let r = 0;
  let f = 0;
  if (filter.charCodeAt(0) === dollar && rule.charCodeAt(0) !== dollar) return false;
  for (;;) {
    const code = rule.charCodeAt(r);
    if (code === hash) return true;
    const ruleEnd = endOfLevel(rule, r);
    const filterEnd = endOfLevel(filter, f);
    if (code === plus) {
      if (filter.charCodeAt(f) === hash) return false;
    } else if (!sameText(rule, r, ruleEnd, filter, f, filterEnd)) return false;

    const ruleDone = ruleEnd === rule.length;
    if (filterEnd === filter.length)
      return ruleDone || (ruleEnd + 2 === rule.length && rule.charCodeAt(ruleEnd + 1) === hash);
    if (ruleDone) return false;
    r = ruleEnd + 1;
    f = filterEnd + 1;
  }
}

function endOfLevel(text: string, from: number): number {
  let i = from;
  while (i < text.length && text.charCodeAt(i) !== slash) i += 1;
  return i;
}

function sameText(a: string, aFrom: number, aEnd: number, b: string, bFrom: number, bEnd: number): boolean {
  if (aEnd - aFrom !== bEnd - bFrom) return false;
  for (let i = aFrom, k = bFrom; i < aEnd; i += 1, k += 1) if (a.charCodeAt(i) !== b.charCodeAt(k)) return false;
  return true;
}
