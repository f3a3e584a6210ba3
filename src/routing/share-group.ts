import { type Grant, NO_LOCAL } from '../mqtt/grant.js';
import type { Publication } from '../mqtt/publication.js';
import type { Subscriber, Target } from './subscriber.js';

/**
 * A shared subscription: each message goes to one member, in turn. Members that are stuck or away are passed over while
 * another one is there; when nobody is connected, a persistent session keeps the message.
 */
export class ShareGroup {
  #members: Target[] = [];
  #next = 0;

  get size(): number {
    return this.#members.length;
  }

  set(subscriber: Subscriber, granted: Grant, identifier: number | null = null): void {
    const target = { subscriber, granted, identifiers: identifier === null ? null : [identifier], own: null };
    const index = this.#members.findIndex((member) => member.subscriber === subscriber);
    if (index === -1) this.#members.push(target);
    else this.#members[index] = target;
  }

  delete(subscriber: Subscriber): boolean {
    const index = this.#members.findIndex((member) => member.subscriber === subscriber);
    if (index === -1) return false;
    this.#members.splice(index, 1);
    return true;
  }

  /** The member whose turn it is, or null when nobody can take the message. */
  pick(publication: Publication): Target | null {
    const members = this.#members;
    let connected: Target | null = null;
    let keeping: Target | null = null;
    for (let i = 0; i < members.length; i++) {
      const index = (this.#next + i) % members.length;
      const member = members[index]!;
      if (!takes(member, publication)) continue;
      if (member.subscriber.ready) {
        this.#next = index + 1;
        return member;
      }
      if (member.subscriber.connected) connected ??= member;
      else if (member.subscriber.persistent) keeping ??= member;
    }
    return connected ?? keeping;
  }
}

function takes({ subscriber, granted }: Target, publication: Publication): boolean {
  if (!subscriber.mayReceive(publication.topic)) return false;
  return (granted & NO_LOCAL) === 0 || !subscriber.published(publication);
}
