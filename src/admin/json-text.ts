/**
 * What JSON leaves as it is and a terminal or a browser might act on: C1 and DEL, what turns the direction of text around,
 * line separators, and the characters that begin markup. (C0 is escaped in JSON anyway.)
 */
const active = /[<>&\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/** A value as JSON. Clients choose topics, client ids and more: shown as it is, none of it acts on whatever shows it. */
export function jsonText(value: unknown): string {
  // Outside of strings JSON has none of these.
  return JSON.stringify(value).replaceAll(active, (it) => `\\u${it.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
