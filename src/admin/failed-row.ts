import type { Refusal } from '../observe/history.js';
import { dateOf } from './dates.js';

/** Somebody tried to log in as the user. What else is known of who it was is not the user's to know. */
export function failedRow({ address, reason, firstAt, lastAt, count }: Refusal) {
  return { time: dateOf(lastAt), first: dateOf(firstAt), count, address, reason };
}
