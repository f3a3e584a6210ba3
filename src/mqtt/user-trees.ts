const placeholder = '%u';

/**
 * Where the trees of users are, as the access rules have it: above the first level that has `%u` in it. `iotlab/%u/#`
 * makes trees below `iotlab`.
 */
export interface UserTrees {
  /** The rule that makes them. */
  readonly topic: string;
  readonly above: readonly string[];
}

/** The trees that rules with these topics make, each once. */
export function userTrees(topics: Iterable<string>): UserTrees[] {
  const found = new Map<string, UserTrees>();
  for (const topic of topics) {
    const levels = topic.split('/');
    const place = levels.findIndex((level) => level.includes(placeholder));
    if (place === -1) continue;
    const above = levels.slice(0, place);
    const key = above.join('/');
    if (!found.has(key)) found.set(key, { topic, above });
  }
  return [...found.values()];
}

/**
 * Whose tree a topic is in, as rules with these topics have it: the login, or '' when it is in nobody's. Where trees lie
 * within others, the deepest counts.
 */
export function treeOwner(topics: Iterable<string>): (topic: string) => string {
  const trees = userTrees(topics)
    .sort((a, b) => b.above.length - a.above.length)
    .map(({ topic, above }) => {
      const [before = '', after = ''] = topic.split('/')[above.length]!.split(placeholder);
      return { above, before, after };
    });
  return (topic) => {
    const levels = topic.split('/');
    for (const { above, before, after } of trees) {
      const level = levels[above.length];
      const isAbove = above.every((asked, place) => asked === '+' || asked === levels[place]);
      if (!isAbove || level === undefined || level.length <= before.length + after.length) continue;
      if (level.startsWith(before) && level.endsWith(after)) {
        return level.slice(before.length, level.length - after.length);
      }
    }
    return '';
  };
}

/** How a rule with this topic reaches into the trees of others. */
export type Reach =
  | 'not'
  /** It names one user's tree, or what in every user's tree. */
  | 'named'
  /** By a wildcard that stands for much else, so that nobody need have thought of the trees. */
  | 'unnamed';

/**
 * Does a rule with this topic reach into these trees, and does it say so? It does in as many words when it writes out the
 * levels above them: `iotlab/+/#` and `iotlab/#` say so, `#` and `+/alice/#` do not. A rule with `%u` is about the user's
 * own topics. Where the trees stand in the first level there is nothing to write out: a `+` for the user says it there.
 */
export function reachInto({ above }: UserTrees, topic: string): Reach {
  const levels = topic.split('/');
  let named = true;
  for (const [i, level] of above.entries()) {
    const asked = levels[i];
    if (asked === undefined || asked.includes(placeholder)) return 'not';
    if (asked === '#') return dollar(i, level) ? 'not' : 'unnamed';
    if (asked === level) continue;
    if (asked === '+' && !dollar(i, level)) named = false;
    else if (level !== '+' || dollar(i, asked)) return 'not';
  }
  const user = levels[above.length];
  if (user === undefined || user.includes(placeholder)) return 'not';
  if (above.length === 0 && user === '#') return 'unnamed';
  return named ? 'named' : 'unnamed';
}

/** What to say of a rule whose reach is `unnamed`: the rest of a sentence that begins with its topic. */
export function unnamedReach({ above, topic }: UserTrees): string {
  const named = above.length === 0 ? '"+/#"' : `"${above.join('/')}/+/#"`;
  return `reaches into the trees of all users (rule "${topic}") without saying so: name the topics that are meant, or write ${named} if the trees are`;
}

/** No wildcard of the first level stands for what begins with `$` [MQTT-4.7.2-1]. */
function dollar(place: number, level: string): boolean {
  return place === 0 && level.startsWith('$');
}
