import AsyncLevelPersistence, { type LibraryPacket } from 'aedes-persistence-level/asyncPersistence.js';
import type { StoredWill } from './contract.js';
import type { GroupCommit } from './group-commit.js';
import { type KeyRange, loginOf, WILL } from './keys.js';

/**
 * Wills are kept by aedes-persistence-level, as packets with what else a Will needs to be sent later, in the groups of
 * everything else.
 */
export class StoredWills {
  readonly #group: GroupCommit;
  readonly #library: AsyncLevelPersistence;

  constructor(group: GroupCommit) {
    this.#group = group;
    this.#library = new AsyncLevelPersistence({
      put: async (key: string, value: Buffer) => group.put(key, value),
      async *values(range: KeyRange) {
        for await (const [, value] of group.entries(range)) yield value;
      },
    });
  }

  put(clientId: string, will: StoredWill): void {
    // Handed to the group before this returns. Whether that could be written is told to everybody, by the store's fault.
    void this.#library.putWill({ id: clientId }, { ...will });
  }

  /** At once: the library reads first, and would delete what is put in the same turn as well. */
  delete(clientId: string): void {
    this.#group.delete(WILL + encodeURIComponent(clientId));
  }

  async *load(): AsyncGenerator<StoredWill> {
    for await (const packet of this.#library.streamWill() as AsyncIterable<LibraryPacket>) {
      const { topic, qos, retain, login, properties, expirySeconds, delaySeconds, dueAt } = packet;
      yield {
        clientId: String(packet.clientId),
        // One that the library put by itself tells no login; the client id does.
        login: typeof login === 'string' ? login : loginOf(String(packet.clientId)),
        topic,
        payload: Buffer.from(packet.payload),
        qos,
        retain,
        properties: Buffer.isBuffer(properties) ? properties : null,
        expirySeconds: typeof expirySeconds === 'number' ? expirySeconds : null,
        delaySeconds: typeof delaySeconds === 'number' ? delaySeconds : 0,
        dueAt: typeof dueAt === 'number' ? dueAt : null,
      };
    }
  }
}
