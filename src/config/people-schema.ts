import { whyNotAGroupName } from '../group-name.js';
import { optional, texts } from './node.js';

/** Whom a row is for. */
export const people = {
  users: optional(
    texts([], 'Logins that it is for.', {
      accepts: 'a login',
      none: 'is an empty list, which is nobody; left out, it is everybody',
    }),
  ),
  groups: optional(
    texts([], 'Groups whose members it is for as well.', {
      accepts: 'a group',
      problem: whyNotAGroupName,
      none: 'is an empty list, which is nobody; left out, it is everybody',
    }),
  ),
};
