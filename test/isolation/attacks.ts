/** Whose tree is reached for, and by whom. */
export interface Reach {
  readonly owner: string;
  readonly attacker: string;
  /** `iotlab/<owner>` */
  readonly tree: string;
  /** Where the owner's messages are. */
  readonly topics: readonly string[];
  /** Whether it is somebody else's. */
  readonly foreign: boolean;
}

export function reachOf(owner: string, attacker: string): Reach {
  const tree = `iotlab/${owner}`;
  const topics = [`${tree}/x`, tree, `${tree}/`, `${tree}//x`, `${tree}/x/y/z`, `${tree}/$SYS/x`];
  return { owner, attacker, tree, topics, foreign: owner !== attacker };
}

/** A topic of one's own, to know when everything that was on its way has come. Outside of what is reached for. */
export const markOf = (login: string): string => `iotlab/${login}/a mark of one's own`;

export interface Attack {
  readonly way: 'read' | 'write';
  readonly name: string;
  /** The filter or the topic. */
  pattern(reach: Reach): string;
  /** Whether the same in one's own tree leads to one's own messages. */
  readonly control: boolean;
}

/** Names of which one begins with the other. */
export const neighbours: readonly (readonly [attacker: string, victim: string])[] = [
  ['al', 'alice'],
  ['alicea', 'alice'],
  ['bob', 'bo'],
  ['bob', 'bobb'],
];

const read = (name: string, pattern: (reach: Reach) => string, control = false): Attack => ({
  way: 'read',
  name: `${name} '${pattern(reachOf('bob', 'alice'))}'`,
  pattern,
  control,
});
const write = (name: string, pattern: (reach: Reach) => string, control = false): Attack => ({
  ...read(name, pattern, control),
  way: 'write',
});

/** The letter that looks like `a` or `o` and is another one. */
const lookAlike = (login: string) => login.replace('a', '\u0430').replace('o', '\u043e');

export const attacks: readonly Attack[] = [
  read('the tree', ({ tree }) => `${tree}/#`, true),
  read('one topic', ({ tree }) => `${tree}/x`, true),
  read('one level', ({ tree }) => `${tree}/+`, true),
  read('the root of the tree', ({ tree }) => tree, true),
  read('a trailing slash', ({ tree }) => `${tree}/`),
  read('empty levels below', ({ tree }) => `${tree}//#`),
  read('everything', () => '#'),
  read('every level of its own', () => '+/+/#'),
  read('a + in the place of the prefix', ({ owner }) => `+/${owner}/#`),
  read('a + in the place of the login', () => 'iotlab/+/#'),
  read('a + in the place of the login, one topic', () => 'iotlab/+/x'),
  read('the prefix of all trees', () => 'iotlab/#'),
  read('every login', () => 'iotlab/+'),
  read('a leading slash', ({ tree }) => `/${tree}/#`),
  read('a doubled slash', ({ owner }) => `iotlab//${owner}/#`),
  read('an empty login', () => 'iotlab//#'),
  read('the beginning of the login', ({ owner }) => `iotlab/${owner.slice(0, 2)}#`),
  read('the beginning of the login and a level', ({ owner }) => `iotlab/${owner.slice(0, 2)}/#`),
  read('the beginning of the login and +', ({ owner }) => `iotlab/${owner.slice(0, 2)}+/x`),
  read('a path upwards', ({ attacker, owner }) => `iotlab/${attacker}/../${owner}/#x`),
  read('# in the middle', ({ attacker, owner }) => `iotlab/${attacker}/#/${owner}`),
  read('a group', ({ tree }) => `$share/g/${tree}/#`, true),
  read('a group of one topic', ({ tree }) => `$share/g/${tree}/x`, true),
  read('a group with +', () => '$share/g/iotlab/+/#'),
  read('a group with everything', () => '$share/g/#'),
  read('a group without a name', ({ tree }) => `$share//${tree}/#`),
  read('a group in a group', ({ tree }) => `$share/g/$share/g/${tree}/#`),
  read('a group named like the tree', ({ attacker, tree }) => `$share/iotlab/${attacker}/#/${tree}`),
  read('a queue', ({ tree }) => `$queue/${tree}/#`),
  read('an exclusive subscription', ({ tree }) => `$exclusive/${tree}/#`),
  read('the placeholder', () => 'iotlab/%u/#'),
  read('the client id placeholder', () => 'iotlab/%c/#'),
  read('capitals', ({ owner }) => `iotlab/${owner.toUpperCase()}/#`),
  read('capitals in the prefix', ({ owner }) => `IOTLAB/${owner}/#`),
  read('look-alike letters', ({ owner }) => `iotlab/${lookAlike(owner)}/#`),
  read('an invisible character', ({ owner }) => `iotlab/${owner}\u200b/#`),
  read('a byte order mark', ({ owner }) => `iotlab/\ufeff${owner}/#`),
  read('a combining character', ({ owner }) => `iotlab/${owner}\u0301/#`),
  read('percent encoding', ({ owner }) => `iotlab%2f${owner}/#`),
  read('a backslash', ({ owner }) => `iotlab\\${owner}/#`),
  read('a trailing space', ({ owner }) => `iotlab/${owner} /#`),
  read('the log of the broker', () => '$SYS/#'),
  read('the clients of the broker', () => '$SYS/+/clients/#'),
  read('every $ topic', () => '$+/#'),

  write('one topic', ({ tree }) => `${tree}/x`, true),
  write('the root of the tree', ({ tree }) => tree, true),
  write('a trailing slash', ({ tree }) => `${tree}/`, true),
  write('empty levels', ({ tree }) => `${tree}//x`, true),
  write('a deep topic', ({ tree }) => `${tree}/x/y/z`, true),
  write('a wildcard', ({ tree }) => `${tree}/+`),
  write('a wildcard of everything', ({ tree }) => `${tree}/#`),
  write('a group', ({ tree }) => `$share/g/${tree}/x`),
  write('a queue', ({ tree }) => `$queue/${tree}/x`),
  write('a leading slash', ({ tree }) => `/${tree}/x`),
  write('a doubled slash', ({ owner }) => `iotlab//${owner}/x`),
  write('a path upwards', ({ attacker, owner }) => `iotlab/${attacker}/../${owner}/x`),
  write('the placeholder', () => 'iotlab/%u/x'),
  write('look-alike letters', ({ owner }) => `iotlab/${lookAlike(owner)}/x`),
  write('an invisible character', ({ owner }) => `iotlab/${owner}\u200b/x`),
  write('a byte order mark', ({ owner }) => `iotlab/\ufeff${owner}/x`),
  write('capitals', ({ owner }) => `iotlab/${owner.toUpperCase()}/x`),
  write('the prefix of all trees', () => 'iotlab'),
  write('the prefix and a slash', () => 'iotlab/'),
  write('a topic of the broker', () => '$SYS/broker/x'),
];
