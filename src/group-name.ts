/** Longer ones are none. */
const maxBytes = 256;

/**
 * Under which a group's name is compared: directories make no difference between `Teachers` and `teachers`, and give back
 * what somebody once typed.
 */
export function groupKey(name: string): string {
  return name.normalize('NFKC').trim().toLowerCase();
}

/** A group, where whom something is for is one word: behind an `@`, with which no login begins. */
export const groupSubject = (group: string): string => `@${groupKey(group)}`;
export const isGroupSubject = (subject: string): boolean => subject.startsWith('@');

/**
 * What a group may be called: anything that fits on a line of the users file, `login:hash:group,group`. Says what is wrong
 * with a name, as the rest of a sentence that begins with it; null when nothing is.
 */
export function whyNotAGroupName(name: string): string | null {
  if (groupKey(name) === '') return 'is no name';
  if (/[:,]/.test(name)) return 'has a ":" or "," in it';
  if (/[\p{C}\p{Zl}\p{Zp}]/u.test(name)) return 'has a character in it that nobody sees';
  return Buffer.byteLength(name) > maxBytes ? `is longer than ${maxBytes} bytes` : null;
}
