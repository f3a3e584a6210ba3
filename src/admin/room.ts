import type { Socket } from 'node:net';

/**
 * Keeps the number of connections within bounds. An answer takes no time, so whoever is connected is asking slowly or
 * asks nothing; the one that goes is the oldest of the address that has the most. Streams are no such thing: they have
 * shown who they are, and have a bound of their own.
 */
export class Room {
  readonly #most: number;
  readonly #mostStreams: number;
  /** Oldest first. */
  readonly #open = new Map<Socket, string>();
  readonly #streams = new Set<Socket>();

  constructor(most: number, mostStreams: number) {
    this.#most = most;
    this.#mostStreams = mostStreams;
  }

  readonly enter = (socket: Socket): void => {
    this.#open.set(socket, socket.remoteAddress ?? '');
    socket.once('close', () => {
      this.#open.delete(socket);
      this.#streams.delete(socket);
    });
    if (this.#open.size > this.#most) this.#makeRoom();
  };

  /** False when there are as many streams as may be. */
  becomesStream(socket: Socket): boolean {
    if (this.#streams.size >= this.#mostStreams) return false;
    this.#open.delete(socket);
    this.#streams.add(socket);
    return true;
  }

  #makeRoom(): void {
    const counts = new Map<string, number>();
    for (const address of this.#open.values()) counts.set(address, (counts.get(address) ?? 0) + 1);
    const most = Math.max(...counts.values());
    for (const [oldest, address] of this.#open) {
      if (counts.get(address) !== most) continue;
      this.#open.delete(oldest);
      oldest.destroy();
      return;
    }
  }
}
