/**
 * The documentation writes `iotlab/<login>/…`, and its readers type the brackets. Returns a sentence for the log or
 * the terminal when a denied topic or filter has brackets around a level where the login belongs; else null.
 */
export function bracketHint(login: string, topic: string): string | null {
  const level = topic.split('/', 3).find((part) => /^(<[^<>]*>|\{[^{}]*\}|\[[^[\]]*\])$/.test(part));
  if (level === undefined) return null;
  return `"${level}" is meant to be replaced, brackets included: iotlab/${login}/…`;
}

const SHOWN_CHARACTERS = 200;

/**
 * What a user is told whose own topic or filter is denied, in a sentence: nothing about anybody else, nor about the
 * rules. `mayRead`: he wanted to publish where he may read. The same on the user's page, in the operator's list and in the Reason String of MQTT 5.
 */
export function denialText(login: string, topic: string, mayRead = false): string {
  // Then it is no slip, but what others publish for him.
  if (mayRead) return `you may read ${shown(topic)}, not publish there`;
  return bracketHint(login, topic) ?? slipHint(login, topic) ?? `${shown(topic)} is outside of what ${login} may use`;
}

/** The other slips that are seen often. */
function slipHint(login: string, topic: string): string | null {
  const levels = topic.replace(/^\$share\/[^/]*\//, '').split('/');
  const own = `iotlab/${login}`;
  if (levels[0] === '$SYS') return 'there is no $SYS here';
  if (levels[0] === '') return `a topic does not begin with a slash: ${own}/…`;
  if (levels[0] === '#' || levels[0] === '+') return `${shown(topic)} covers what others publish too: ${own}/#`;
  if (levels[0] === login) return `iotlab/ is missing in front: ${own}/…`;
  if (levels[0] !== 'iotlab') {
    return levels[0]?.toLowerCase() === 'iotlab' ? `capitals matter: ${own}/…` : null;
  }
  if (levels[1] === '#' || levels[1] === '+') return `${shown(topic)} covers what others publish too: ${own}/#`;
  if (levels[1] !== login && levels[1]?.trim().toLowerCase() === login) {
    return `capitals and spaces matter: ${own}/…`;
  }
  return null;
}

function shown(topic: string): string {
  return topic.length > SHOWN_CHARACTERS ? `${topic.slice(0, SHOWN_CHARACTERS)}…` : topic;
}
