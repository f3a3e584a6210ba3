import { randomInt } from 'node:crypto';

/** Without those that are taken for one another (0 O o, 1 l I), and without any that a shell treats specially. */
const alphabet = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789';

/** 20 characters that can be typed and pasted anywhere unquoted: 115 bits. */
export function randomPassword(): string {
  return Array.from({ length: 20 }, () => alphabet[randomInt(alphabet.length)]).join('');
}
