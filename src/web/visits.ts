import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../clock.js';
import { CONNECTION_BYTES } from '../connection/connection.js';
import type { Account } from '../fairness/account.js';
import type { Networks } from '../fairness/networks.js';

/** From one answer to the next request, that request being there as a whole. */
const REQUEST_MS = 10_000;

interface Visit {
  readonly address: string;
  readonly network: Account;
  /** A request that is not answered yet. */
  busy: boolean;
  cancelDeadline: () => void;
}

/** The sockets of the web port, until they close or become WebSockets: each is its network's to pay, and has a deadline. */
export class Visits {
  readonly #networks: Networks;
  readonly #clock: Clock;
  readonly #open = new Map<Socket, Visit>();

  constructor({ networks, clock }: { readonly networks: Networks; readonly clock: Clock }) {
    this.#networks = networks;
    this.#clock = clock;
  }

  enter(socket: Socket, address: string): void {
    const network = this.#networks.enter(address);
    network.balances.connections.add(CONNECTION_BYTES);
    const visit: Visit = { address, network, busy: false, cancelDeadline: () => {} };
    this.#open.set(socket, visit);
    this.#expect(socket, visit);
    socket.once('close', () => this.leave(socket));
  }

  /** A request is there. Null: the one before it is not answered, which browsers wait for, and the socket is closed. */
  begin({ socket }: IncomingMessage, response: ServerResponse): Pick<Visit, 'address' | 'network'> | null {
    const visit = this.#open.get(socket);
    if (visit === undefined || visit.busy) {
      socket.destroy();
      return null;
    }
    visit.busy = true;
    response.once('close', () => {
      visit.busy = false;
      if (this.#open.has(socket)) this.#expect(socket, visit);
    });
    return { address: visit.address, network: visit.network };
  }

  /** The request is here as a whole: how long its answer takes is for who answers it to say. */
  received(socket: Socket): void {
    this.#open.get(socket)?.cancelDeadline();
  }

  /** It is no visit any more. Returns where it was from; null when it has left already. */
  leave(socket: Socket): string | null {
    const visit = this.#open.get(socket);
    if (visit === undefined) return null;
    this.#open.delete(socket);
    visit.cancelDeadline();
    visit.network.balances.connections.add(-CONNECTION_BYTES);
    this.#networks.leave(visit.network);
    return visit.address;
  }

  close(): void {
    for (const socket of this.#open.keys()) socket.destroy();
  }

  #expect(socket: Socket, visit: Visit): void {
    visit.cancelDeadline();
    visit.cancelDeadline = this.#clock.after(REQUEST_MS, () => socket.destroy());
  }
}
