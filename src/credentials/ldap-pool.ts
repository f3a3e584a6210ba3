import type { Clock } from '../clock.js';
import type { Fault } from '../errors.js';
import { connectLdap, type LdapConnection } from './ldap-client.js';
import { isServerFault, ldapFault } from './ldap-fault.js';
import type { LdapResult, LdapServer } from './ldap-messages.js';
import type { LdapServers } from './ldap-servers.js';

export interface LdapPoolOptions {
  readonly servers: LdapServers;
  readonly clock: Clock;
  /** Most connections at the same time. */
  readonly size: number;
  /** Most of them that stay open while nobody needs them. */
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

/** Questions that wait for a connection; more of them are a fault. */
const maxWaiting = 1_000;
/** Shorter than the idle limits of directories and the memory of firewalls, so that a dead connection is rare. */
const idleMs = 30_000;
/** So that a service account that is rejected by now, or a name that leads elsewhere, is noticed. */
const lifeMs = 5 * 60_000;

/** Connections for one kind of question, each used by one question at a time. */
export class LdapPool {
  readonly #options: LdapPoolOptions;
  readonly #idle: Pooled[] = [];
  readonly #busy = new Set<Pooled>();
  readonly #waiting: { resolve: () => void; reject: (fault: Fault) => void }[] = [];
  readonly #stopSweeping: () => void;
  #taken = 0;
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
    await this.#takePlace(signal);
    try {
      return await this.#ask(signal, question);
    } finally {
      this.#taken -= 1;
      this.#waiting.shift()?.resolve();
    }
  }

  close(): void {
    this.#closed = true;
    this.#stopSweeping();
    for (const { reject } of this.#waiting.splice(0)) reject(stopped());
    for (const { connection } of [...this.#idle.splice(0), ...this.#busy]) connection.close();
  }

  async #ask<T extends LdapResult>(
    signal: AbortSignal,
    question: (connection: LdapConnection) => Promise<T>,
  ): Promise<T> {
    const { servers } = this.#options;
    for (;;) {
      const used = this.#takeIdle();
      if (used === null) return servers.attempt(signal, (server) => this.#askAnew(server, signal, question));
      try {
        return await this.#askOn(used, question);
      } catch (error) {
        if (!isServerFault(error) || this.#closed) throw error;
        // Closed while nobody looked: that is no failure of the server, a fresh connection tells.
        if (error.code === 'E_LDAP_CLOSED' || error.code === 'E_LDAP_UNREACHABLE') continue;
        servers.failed(used.server, error);
        for (const { server, connection } of this.#idle) if (server === used.server) connection.close();
        if (signal.aborted) throw error;
      }
    }
  }

  async #askAnew<T extends LdapResult>(
    server: LdapServer,
    signal: AbortSignal,
    question: (connection: LdapConnection) => Promise<T>,
  ): Promise<T> {
    const { clock, connectTimeoutMs, prepare } = this.#options;
    if (this.#closed) throw stopped();
    const connection = await connectLdap(server, { timeoutMs: connectTimeoutMs, signal, clock });
    try {
      await prepare(connection, server, signal);
      if (this.#closed) throw stopped();
    } catch (error) {
      connection.close();
      throw error;
    }
    return this.#askOn(
      { connection, server, openedAtMs: clock.monotonicMs(), idleSinceMs: clock.monotonicMs() },
      question,
    );
  }

  async #askOn<T extends LdapResult>(pooled: Pooled, question: (connection: LdapConnection) => Promise<T>): Promise<T> {
    this.#busy.add(pooled);
    try {
      const answer = await question(pooled.connection);
      throwIfBusy(answer, pooled.server);
      return answer;
    } catch (error) {
      pooled.connection.close();
      throw error;
    } finally {
      this.#busy.delete(pooled);
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

  async #takePlace(signal: AbortSignal): Promise<void> {
    if (this.#closed) throw stopped();
    if (this.#taken < this.#options.size) {
      this.#taken += 1;
      return;
    }
    if (this.#waiting.length >= maxWaiting) throw ldapFault('E_LDAP_BUSY', `${maxWaiting} questions wait already`);
    await new Promise<void>((resolve, reject) => {
      const entry = {
        resolve: () => {
          signal.removeEventListener('abort', abort);
          this.#taken += 1;
          resolve();
        },
        reject,
      };
      const abort = (): void => {
        const index = this.#waiting.indexOf(entry);
        if (index !== -1) this.#waiting.splice(index, 1);
        reject(ldapFault('E_LDAP_CANCELLED', 'called off while waiting for a connection', signal.reason));
      };
      this.#waiting.push(entry);
      signal.addEventListener('abort', abort, { once: true });
      if (signal.aborted) abort();
    });
  }
}

/** 51 busy, 52 unavailable: the server says that another one should be asked. */
export function throwIfBusy({ code, message }: LdapResult, server: LdapServer): void {
  if (code === 51 || code === 52) throw ldapFault('E_LDAP_BUSY', `${server.name}: ${message} (LDAP result ${code})`);
}

function stopped(): Fault {
  return ldapFault('E_LDAP_STOPPED', 'the LDAP backend was closed');
}
