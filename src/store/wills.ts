import type { LibraryPacket } from 'aedes-persistence-level/asyncPersistence.js';
import type { StoredWill } from './contract.js';
import { loginOf } from './keys.js';
import type { LevelPersistence } from './level-persistence.js';

/** Wills are kept by the library, as packets with what else a Will needs to be sent later. */
export function storeWill(persistence: LevelPersistence, clientId: string, will: StoredWill): void {
  // Whether it could be written is told to everybody, by the store's fault.
  persistence.putWill({ id: clientId }, { ...will }).catch(() => {});
}

export async function* loadWills(persistence: LevelPersistence): AsyncGenerator<StoredWill> {
  for await (const packet of persistence.streamWill() as AsyncIterable<LibraryPacket>) {
    const { topic, qos, retain, login, properties, delaySeconds } = packet;
    yield {
      clientId: String(packet.clientId),
      // One that the library put by itself tells no login; the client id does.
      login: typeof login === 'string' ? login : loginOf(String(packet.clientId)),
      topic,
      payload: Buffer.from(packet.payload),
      qos,
      retain,
      properties: Buffer.isBuffer(properties) ? properties : null,
      delaySeconds: typeof delaySeconds === 'number' ? delaySeconds : 0,
    };
  }
}
