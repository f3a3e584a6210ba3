/**
 * The documentation writes `iotlab/<login>/…`, and its readers type the brackets. Returns a sentence for the log or
 * the terminal when a denied topic or filter has brackets around a level where the login belongs; else null.
 */
export function bracketHint(login: string, topic: string): string | null {
  const level = topic.split('/', 3).find((part) => /^(<[^<>]*>|\{[^{}]*\}|\[[^[\]]*\])$/.test(part));
  if (level === undefined) return null;
  return `"${level}" is meant to be replaced, brackets included: iotlab/${login}/…`;
}
