import type { Clock } from '../clock.js';
import type { Fault } from '../errors.js';
import { LdapConnection } from './ldap-client.js';
import { isServerFault, ldapFault } from './ldap-fault.js';
import type { LdapResult, LdapServer } from './ldap-messages.js';
import type { LdapServers } from './ldap-servers.js';

export interface LdapPoolOptions {
  readonly servers: LdapServers;
  readonly clock: Clock;
  /** Most connections that stay open while nobody needs them. */
  readonly keep: number;
  readonly connectTimeoutMs: number;
  /** Makes a new connection fit for use, or throws a fault. */
  prepare(connection: LdapConnection, server: LdapServer, signal: AbortSignal): Promise<void>;
}

interface Pooled {
  readonly connection: LdapConnection;
  readonly server: LdapServer;
  readonly openedAtMs: number;
  idleSinceMs: number;
}

/** Shorter than the idle limits of directories and the memory of firewalls, so that a dead connection is rare. */
const idleMs = 30_000;
/** So that a service account that is rejected by now, or a name that leads elsewhere, is noticed. */
const lifeMs = 5 * 60_000;

/**
 * Connections for one kind of question, each used by one question at a time. There are as many as there are questions:
 * how many of those are asked at the same time is the guard's business (`credentials.concurrency`).
 */
export class LdapPool {
  readonly #options: LdapPoolOptions;
  readonly #idle: Pooled[] = [];
  /** In use, or being opened. */
  readonly #busy = new Set<LdapConnection>();
  readonly #stopSweeping: () => void;
  #closed = false;

  constructor(options: LdapPoolOptions) {
    this.#options = options;
    this.#stopSweeping = options.clock.every(idleMs / 3, () => this.#sweep());
  }

  /** Asks on an open connection or on a new one; on another server when this one fails, until all have. */
  async ask<T extends LdapResult>(
    signal: AbortSignal,
    question: (connection: LdapConnection) => Promise<T>,
  ): Promise<T> {
    const { servers } = this.#options;
    for (;;) {
      if (this.#closed) throw stopped();
      if (signal.aborted) throw ldapFault('E_LDAP_CANCELLED', 'called off', signal.reason);
      const used = this.#takeIdle();
      if (used === null) return servers.attempt(signal, (server) => this.#askAnew(server, signal, question));
      try {
        return await this.#askOn(used, question);
      } catch (error) {
        if (!isServerFault(error)) throw error;
        // Closed while nobody looked: that is no failure of the server, a fresh connection tells.
        if (error.code === 'E_LDAP_CLOSED' || error.code === 'E_LDAP_UNREACHABLE') continue;
        servers.failed(used.server, error);
        for (const { server, connection } of this.#idle) if (server === used.server) connection.close();
        if (signal.aborted) throw error;
      }
    }
  }

  /** What is being asked hears of a fault. */
  close(): void {
    this.#closed = true;
    this.#stopSweeping();
    for (const { connection } of this.#idle.splice(0)) connection.close();
    for (const connection of this.#busy) connection.close();
  }

  async #askAnew<T extends LdapResult>(
    server: LdapServer,
    signal: AbortSignal,
    question: (connection: LdapConnection) => Promise<T>,
  ): Promise<T> {
    const { clock, connectTimeoutMs, prepare } = this.#options;
    if (this.#closed) throw stopped();
    const connection = new LdapConnection(server);
    this.#busy.add(connection);
    try {
      await connection.open({ timeoutMs: connectTimeoutMs, signal, clock });
      await prepare(connection, server, signal);
    } catch (error) {
      this.#busy.delete(connection);
      connection.close();
      throw this.#closed ? stopped() : error;
    }
    const now = clock.monotonicMs();
    return this.#askOn({ connection, server, openedAtMs: now, idleSinceMs: now }, question);
  }

  async #askOn<T extends LdapResult>(pooled: Pooled, question: (connection: LdapConnection) => Promise<T>): Promise<T> {
    const { connection, server } = pooled;
    this.#busy.add(connection);
    try {
      const answer = await question(connection);
      throwIfBusy(answer, server);
      return answer;
    } catch (error) {
      connection.close();
      throw this.#closed ? stopped() : error;
    } finally {
      this.#busy.delete(connection);
      this.#putBack(pooled);
    }
  }

  #takeIdle(): Pooled | null {
    this.#sweep();
    const index = this.#idle.findLastIndex(({ server }) => this.#options.servers.isFirstChoice(server));
    return index === -1 ? null : this.#idle.splice(index, 1)[0]!;
  }

  #putBack(pooled: Pooled): void {
    if (this.#closed || this.#idle.length >= this.#options.keep) pooled.connection.close();
    if (pooled.connection.failure !== null) return;
    pooled.idleSinceMs = this.#options.clock.monotonicMs();
    this.#idle.push(pooled);
  }

  #sweep(): void {
    const now = this.#options.clock.monotonicMs();
    const kept = this.#idle.filter(({ connection, idleSinceMs, openedAtMs }) => {
      if (connection.failure === null && now - idleSinceMs < idleMs && now - openedAtMs < lifeMs) return true;
      connection.close();
      return false;
    });
    this.#idle.splice(0, this.#idle.length, ...kept);
  }
}

/** 51 busy, 52 unavailable: the server says that another one should be asked. */
export function throwIfBusy({ code, message }: LdapResult, server: LdapServer): void {
  if (code === 51 || code === 52) throw ldapFault('E_LDAP_BUSY', `${server.name}: ${message} (LDAP result ${code})`);
}

function stopped(): Fault {
  return ldapFault('E_LDAP_STOPPED', 'the LDAP backend was closed');
}
