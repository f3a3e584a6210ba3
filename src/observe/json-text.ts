/**
 * What JSON leaves as it is and a terminal or a browser might act on: C1 and DEL, what turns the direction of text around,
 * line separators, and the characters that begin markup. (C0 is escaped in JSON anyway.)
 */
const active = /[<>&\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/**
 * A value as JSON; `indent`: for people. Clients choose topics, client ids and more: shown as it is, none of it acts on
 * whatever shows it.
 */
export function jsonText(value: unknown, indent = 0): string {
  return harmlessJson(JSON.stringify(value, null, indent));
}

/** The same of what is JSON already. */
export function harmlessJson(json: string): string {
  // Outside of strings JSON has none of these.
  return json.replaceAll(active, (it) => `\\u${it.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
