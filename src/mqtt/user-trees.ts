const placeholder = '%u';

/** What of an access rule decides whose topics it is about. */
export interface TreeRule {
  readonly topic: string;
  readonly users?: readonly string[];
  readonly groups?: readonly string[];
}

/**
 * Where the trees of users are, as the access rules have it: above the first level that has `%u` in it, or that is the
 * login of somebody whom the rule names. `iotlab/%u/#` makes trees below `iotlab`, and `iotlab/alice/#` for `alice` one.
 */
export interface UserTrees {
  /** The rule that makes them. */
  readonly topic: string;
  readonly above: readonly string[];
  /** The level of the user. */
  readonly level: string;
  /** Whose tree it is; null: a tree of each user. */
  readonly owner: string | null;
}

/**
 * The trees that these rules make, each once. What is granted to somebody in the tree of another (`iotlab/alice/bob/#`,
 * or `iotlab/+/bob`, to bob) is none of his. Where any word of the first level may be a login, that cannot be told, and it
 * is one.
 */
export function userTrees(rules: Iterable<TreeRule>): UserTrees[] {
  const found = new Map<string, UserTrees>();
  for (const { topic, users = [] } of rules) {
    const levels = topic.split('/');
    const place = levels.findIndex((level) => level.includes(placeholder) || users.includes(level));
    if (place === -1) continue;
    const level = levels[place]!;
    const key = levels.slice(0, place + 1).join('/');
    const owner = level.includes(placeholder) ? null : level;
    if (!found.has(key)) found.set(key, { topic, above: levels.slice(0, place), level, owner });
  }
  const trees = [...found.values()];
  const outer = trees.filter(({ owner, above }) => owner === null && above.length > 0);
  return trees.filter(({ owner, above }) => {
    if (owner === null) return true;
    return !above.includes('+') && !outer.some((tree) => tree.above.length < above.length && isBelow(tree, above));
  });
}

function isBelow({ above }: UserTrees, levels: readonly string[]): boolean {
  return above.every((asked, place) => asked === '+' || asked === levels[place]);
}

/**
 * Whose tree a topic is in, as rules with these topics have it: the login, or '' when it is in nobody's. Where trees lie
 * within others, the deepest counts.
 */
export function treeOwner(topics: Iterable<string>): (topic: string) => string {
  const trees = userTrees([...topics].map((topic) => ({ topic })))
    .sort((a, b) => b.above.length - a.above.length)
    .map((tree) => {
      const [before = '', after = ''] = tree.level.split(placeholder);
      return { tree, before, after };
    });
  return (topic) => {
    const levels = topic.split('/');
    for (const { tree, before, after } of trees) {
      const level = levels[tree.above.length];
      if (!isBelow(tree, levels) || level === undefined || level.length <= before.length + after.length) continue;
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
 * Does a rule reach into these trees, for anybody but whose they are, and does it say so? It does in as many words when it
 * writes out the levels above them: `iotlab/+/#` and `iotlab/#` say so, `#` and `+/alice/#` do not. Where the trees stand
 * in the first level there is nothing to write out: a `+` for the user says it there.
 *
 * A rule with `%u` is about the user's own topics, and never says it. It is followed for the logins that would make it
 * one of others' trees: with `%u/#` beside `iotlab/%u/#`, the login `iotlab` has everybody's.
 */
export function reachInto(tree: UserTrees, rule: TreeRule): Reach {
  if (!rule.topic.includes(placeholder)) return isForOwnerAlone(tree, rule) ? 'not' : literalReach(tree, rule.topic);
  return loginThatReaches(tree, rule) === null ? 'not' : 'unnamed';
}

/** What to say of a rule whose reach is `unnamed`: the rest of a sentence that begins with its topic. */
export function unnamedReach(tree: UserTrees, rule: TreeRule): string {
  const { above, level, topic, owner } = tree;
  const whose = owner === null ? 'the trees of all users' : `the tree of ${owner}`;
  const reaches = `reaches into ${whose} (rule "${topic}")`;
  if (rule.topic.includes(placeholder)) {
    const login = loginThatReaches(tree, rule);
    const who = login === '' || login === null ? 'for other users' : `for the login "${login}"`;
    return `${reaches} ${who}: no login may stand where another rule has a word; put a word of its own in front, as in "users/%u/#", and the same in all rules with %u`;
  }
  const named = [...above, owner === null || above.length === 0 ? '+' : level, '#'].join('/');
  return `${reaches} without saying so: name the topics that are meant, or write "${named}" if ${owner === null ? 'the trees are' : 'the tree is'}`;
}

/** Does the rule name the owner of the tree, and nobody else? */
function isForOwnerAlone({ owner }: UserTrees, { users, groups }: TreeRule): boolean {
  if (groups !== undefined || users === undefined) return false;
  return users.every((login) => login === owner);
}

function literalReach(tree: UserTrees, topic: string): Reach {
  const levels = topic.split('/');
  const reach = throughAbove(tree, levels);
  const user = levels[tree.above.length];
  if (user === undefined) return levels.at(-1) === '#' ? reach : 'not';
  if (reach === 'not' || !mayBeOfUser(tree, user)) return 'not';
  return tree.above.length === 0 && user === '#' ? 'unnamed' : reach;
}

/** Does a rule with these levels get to where the users' levels are? */
function throughAbove({ above }: UserTrees, levels: readonly string[]): Reach {
  let reach: Reach = 'named';
  for (const [i, level] of above.entries()) {
    const asked = levels[i];
    if (asked === undefined) return 'not';
    if (asked === '#') return dollar(i, level) ? 'not' : 'unnamed';
    if (asked === level) continue;
    if (asked === '+' && !dollar(i, level)) reach = 'unnamed';
    else if (level !== '+' || dollar(i, asked)) return 'not';
  }
  return reach;
}

/** Does this level of a rule, with no `%u` in it, stand for a user of these trees? */
function mayBeOfUser({ level, owner }: UserTrees, asked: string): boolean {
  if (asked === '+' || asked === '#') return true;
  return owner === null ? filledBy(level, asked) !== null : asked === level;
}

/** Stands for the logins that no rule has a word for. */
const anyLogin = '\u0001';

/** The login for which a rule with `%u` is about the trees of others; '' for any, null for none. */
function loginThatReaches(tree: UserTrees, rule: TreeRule): string | null {
  const levels = rule.topic.split('/');
  const words = [...tree.above, tree.level].map((level, i) => filledBy(levels[i] ?? '', level));
  for (const login of [anyLogin, ...words]) {
    if (login === null || !mayBeFor(rule, login)) continue;
    if (reachesAs(login, tree, levels)) return login === anyLogin ? '' : login;
  }
  return null;
}

function mayBeFor({ users, groups }: TreeRule, login: string): boolean {
  return login === anyLogin || users === undefined || groups !== undefined || users.includes(login);
}

function reachesAs(login: string, tree: UserTrees, levels: readonly string[]): boolean {
  const { above, level, owner } = tree;
  const filled = levels.map((each) => fill(each, login));
  if (login === owner || throughAbove(tree, filled) === 'not') return false;
  const user = levels[above.length];
  if (user === undefined) return levels.at(-1) === '#';
  if (fill(user, login) === fill(level, login)) return owner !== null;
  if (user.includes(placeholder)) return owner === null && meet(user, level);
  return mayBeOfUser(tree, user);
}

const fill = (level: string, login: string) => level.replaceAll(placeholder, () => login);

/** The login that makes the level of a rule, with `%u` in it, this word; null when none does. */
function filledBy(level: string, word: string): string | null {
  const [before = '', ...rest] = level.split(placeholder);
  if (rest.length === 0 || word.includes(placeholder) || !word.startsWith(before)) return null;
  // As often as it is there, it takes the same part of what is left.
  const fixed = level.length - rest.length * placeholder.length;
  const login = word.slice(before.length, before.length + (word.length - fixed) / rest.length);
  if (login === '' || login === '+' || login === '#' || login.startsWith('$')) return null;
  return fill(level, login) === word ? login : null;
}

/** May two levels with `%u` be the same for two logins? */
function meet(a: string, b: string): boolean {
  const [beforeA, afterA] = [a.slice(0, a.indexOf(placeholder)), a.slice(a.lastIndexOf(placeholder) + 2)];
  const [beforeB, afterB] = [b.slice(0, b.indexOf(placeholder)), b.slice(b.lastIndexOf(placeholder) + 2)];
  const begins = beforeA.startsWith(beforeB) || beforeB.startsWith(beforeA);
  return begins && (afterA.endsWith(afterB) || afterB.endsWith(afterA));
}

/** No wildcard of the first level stands for what begins with `$` [MQTT-4.7.2-1]. */
function dollar(place: number, level: string): boolean {
  return place === 0 && level.startsWith('$');
}
