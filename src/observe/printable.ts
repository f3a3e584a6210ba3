/**
 * What would act on a terminal instead of being shown by it: control characters but tab and line feed (C0, DEL, C1),
 * those that turn the direction of text around, and the line separators of Unicode.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are exactly what is looked for
const unprintable = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * The text with those characters as `\u001b`. Clients choose topics, logins and client ids, and files hold what somebody
 * wrote into them: nothing of it reaches a terminal but through here. In JSON it is the same text afterwards.
 */
export function printable(text: string): string {
  return text.replaceAll(unprintable, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
