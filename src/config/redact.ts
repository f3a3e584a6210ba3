/**
 * The text with the user name and password of each URL in it as `[hidden]`. They do not belong there, and yet people
 * write them there; then they must not get into a log, or onto a screen that others look at.
 */
export function redactUrls(text: string): string {
  return text.includes('://') ? text.replaceAll(/\S+/g, withoutSecret) : text;
}

/** The same for a value of a configuration, of any type, and for all that is in it. There a URL may have spaces. */
export function redactValue(value: unknown): unknown {
  if (typeof value === 'string')
    return redactUrls(/^\s*[a-z][a-z0-9+.-]*:\/\//i.test(value) ? withoutSecret(value) : value);
  if (Array.isArray(value)) return value.map(redactValue);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [redactUrls(key), redactValue(each)]));
}

/** To the last "@": a password that nobody encoded may hold one, and a slash. */
function withoutSecret(word: string): string {
  const start = word.indexOf('://') + 3;
  const end = word.lastIndexOf('@');
  return start < 3 || end < start ? word : `${word.slice(0, start)}[hidden]${word.slice(end)}`;
}
