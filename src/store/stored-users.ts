import { Fault } from '../errors.js';
import type { UserRecord } from './contract.js';
import type { GroupCommit } from './group-commit.js';
import { rangeOf, USER } from './keys.js';

/** In the first byte of a row; what follows is JSON. */
const VERSION = 1;

/** What is remembered of users beside their sessions: a row for each of whom there is something. */
export class StoredUsers {
  readonly #group: GroupCommit;

  constructor(group: GroupCommit) {
    this.#group = group;
  }

  put(login: string, record: UserRecord): void {
    this.#group.put(USER + encodeURIComponent(login), encodeUser(record));
  }

  delete(login: string): void {
    this.#group.delete(USER + encodeURIComponent(login));
  }

  async *load(): AsyncGenerator<[login: string, record: UserRecord]> {
    for await (const [key, value] of this.#group.entries(rangeOf(USER))) {
      yield [decodeURIComponent(key.slice(USER.length)), decodeUser(value)];
    }
  }
}

function encodeUser(record: UserRecord): Buffer {
  return Buffer.concat([Buffer.from([VERSION]), Buffer.from(JSON.stringify(record))]);
}

export function decodeUser(value: Buffer): UserRecord {
  const record: unknown = value[0] === VERSION ? JSON.parse(value.toString('utf8', 1)) : null;
  if (typeof record === 'object' && record !== null && 'groups' in record && Array.isArray(record.groups)) {
    return record as UserRecord;
  }
  throw new Fault('E_STORE_ROW', `the store has a user's row of an unknown format (${value[0] ?? 'empty'})`);
}
