import { parseShare } from '../mqtt/topics.js';
import type { Acl } from './acl.js';
import type { Person } from './people.js';
import type { Rule } from './rule.js';

export type Access = 'read' | 'write';

/** What one rule says of a question, in words for the operator. */
export interface RuleOpinion {
  /** Where it stands: `acl[0]` is the first. */
  readonly place: string;
  /** As in the configuration. */
  readonly rule: string;
  readonly grants: boolean;
  /** The rule speaks of the topic, though it may not grant what was asked. */
  readonly concerns: boolean;
  readonly why: string;
  /** The group, by `groupKey`, that makes it a rule for the person; null when no group does. */
  readonly through: string | null;
}

type Opinion = Omit<RuleOpinion, 'place' | 'rule'>;

/**
 * What every rule says of it, in the order of the configuration. It is granted when one of them grants it, and the first
 * of these is the one that does.
 */
export function explain(acl: Acl, person: Person, access: Access, topic: string): RuleOpinion[] {
  return acl.rules.map((rule, index) => ({
    place: `acl[${index}]`,
    rule: rule.text,
    ...opinionOf(rule, person, access, topic),
  }));
}

function opinionOf(rule: Rule, person: Person, access: Access, topic: string): Opinion {
  const { login } = person;
  const filled = rule.forLogin(login);
  const no = (why: string, concerns: boolean) => ({ grants: false, concerns, why, through: null });
  if (filled === null) return no(`${login} cannot be a level of a topic`, false);
  const reading = access === 'read';
  const whole = reading ? filled.covers(topic) : filled.matches(topic);
  const asked = reading ? (parseShare(topic)?.filter ?? topic) : topic;
  if (!whole && !overlap(filled.filter, asked)) return no('is about other topics', false);
  if (!(reading ? rule.read : rule.write)) return no(`does not grant ${reading ? 'reading' : 'writing'}`, true);
  if (!rule.isFor(person)) {
    const groups = [...person.groups];
    const others = groups.length === 0 ? 'in no group' : `in ${groups.join(', ')}`;
    return no(`is for others: ${login} is ${others}`, true);
  }
  if (whole) return { grants: true, concerns: true, ...whyFor(rule, person) };
  return no('covers only a part of what the filter can match', true);
}

function whyFor(rule: Rule, { login, groups }: Person): Pick<RuleOpinion, 'why' | 'through'> {
  const isFor = (name: string, ...of: string[]) => rule.isFor({ login: name, groups: new Set(of) });
  if (isFor('')) return { why: 'is for everybody', through: null };
  if (isFor(login)) return { why: `names ${login}`, through: null };
  const through = [...groups].find((group) => isFor('', group)) ?? null;
  return { why: `is for ${through}, and ${login} is in it`, through };
}

/** Is there a topic that both filters match? */
function overlap(a: string, b: string): boolean {
  const left = a.split('/');
  const right = b.split('/');
  for (let i = 0; ; i += 1) {
    const x = left[i];
    const y = right[i];
    if (x === undefined || y === undefined) return x === y || x === '#' || y === '#';
    // [MQTT-4.7.2-1]
    if (i === 0 && x !== y && (x.startsWith('$') || y.startsWith('$'))) return false;
    if (x === '#' || y === '#') return true;
    if (x !== y && x !== '+' && y !== '+') return false;
  }
}
