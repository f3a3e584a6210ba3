import type { Clock } from '../clock.js';
import type { Fault } from '../errors.js';
import { connectLdap, type LdapConnection } from './ldap-client.js';
import { isServerFault, ldapFault } from './ldap-fault.js';
import type { LdapAnswer, LdapQuery, LdapServer } from './ldap-messages.js';
import type { LdapServers } from './ldap-servers.js';

export interface SearchPoolOptions {
  readonly servers: LdapServers;
  readonly clock: Clock;
  /** Most connections at the same time. */
  readonly size: number;
  readonly connectTimeoutMs: number;
  readonly bindTimeoutMs: number;
  readonly searchTimeoutMs: number;
  /** The service account; null searches anonymously. Its password is asked for anew for each connection. */
  readonly service: { readonly dn: string; password(): Promise<string> } | null;
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
/** After that long a connection to a second choice gives way to the first. */
const lifeMs = 5 * 60_000;

/** Connections of the service account, for searches only: no user's password ever passes through one of them. */
export class SearchPool {
  readonly #options: SearchPoolOptions;
  readonly #idle: Pooled[] = [];
  readonly #busy = new Set<Pooled>();
  readonly #waiting: { resolve: () => void; reject: (fault: Fault) => void }[] = [];
  readonly #stopSweeping: () => void;
  #taken = 0;
  #closed = false;

  constructor(options: SearchPoolOptions) {
    this.#options = options;
    this.#stopSweeping = options.clock.every(idleMs / 3, () => this.#sweep());
  }

  async search(query: LdapQuery, signal: AbortSignal): Promise<LdapAnswer> {
    await this.#takePlace(signal);
    try {
      return await this.#search(query, signal);
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

  async #search(query: LdapQuery, signal: AbortSignal): Promise<LdapAnswer> {
    const { servers, searchTimeoutMs, clock } = this.#options;
    for (let failures = 0; ; ) {
      const used = this.#takeIdle();
      const pooled = used ?? (await this.#connect(signal));
      this.#busy.add(pooled);
      try {
        const answer = await pooled.connection.search(query, { timeoutMs: searchTimeoutMs, signal, clock });
        // 51 busy, 52 unavailable
        if (answer.code !== 51 && answer.code !== 52) return answer;
        throw ldapFault('E_LDAP_BUSY', `${pooled.server.name}: ${answer.message} (LDAP result ${answer.code})`);
      } catch (error) {
        pooled.connection.close();
        if (!isServerFault(error) || this.#closed) throw error;
        // Closed while nobody looked: that is no failure of the server, a fresh connection tells.
        if (used !== null && error.code === 'E_LDAP_CLOSED') continue;
        servers.failed(pooled.server, error);
        this.#dropIdle(pooled.server);
        failures += 1;
        if (failures >= servers.count || signal.aborted) throw error;
      } finally {
        this.#busy.delete(pooled);
        this.#putBack(pooled);
      }
    }
  }

  async #connect(signal: AbortSignal): Promise<Pooled> {
    const { servers, service, clock, connectTimeoutMs, bindTimeoutMs } = this.#options;
    return servers.attempt(signal, async (server) => {
      if (this.#closed) throw stopped();
      const connection = await connectLdap(server, { timeoutMs: connectTimeoutMs, signal, clock });
      try {
        if (service !== null) {
          const password = await service.password();
          const { code, message } = await connection.bind(service.dn, password, {
            timeoutMs: bindTimeoutMs,
            signal,
            clock,
          });
          if (code !== 0) {
            const busy = code === 51 || code === 52;
            throw ldapFault(
              busy ? 'E_LDAP_BUSY' : 'E_LDAP_SERVICE_BIND',
              `${server.name}: rejects the service account ${service.dn}: ${message} (LDAP result ${code})`,
            );
          }
        }
        if (this.#closed) throw stopped();
      } catch (error) {
        connection.close();
        throw error;
      }
      return { connection, server, openedAtMs: clock.now(), idleSinceMs: clock.now() };
    });
  }

  #takeIdle(): Pooled | null {
    this.#sweep();
    return this.#idle.pop() ?? null;
  }

  #putBack(pooled: Pooled): void {
    if (this.#closed) pooled.connection.close();
    if (pooled.connection.failure !== null) return;
    pooled.idleSinceMs = this.#options.clock.now();
    this.#idle.push(pooled);
  }

  #dropIdle(server: LdapServer): void {
    for (const pooled of this.#idle) if (pooled.server === server) pooled.connection.close();
  }

  #sweep(): void {
    const now = this.#options.clock.now();
    const kept = this.#idle.filter(({ connection, idleSinceMs, openedAtMs }) => {
      if (connection.failure === null && now - idleSinceMs < idleMs && now - openedAtMs < lifeMs) return true;
      connection.close();
      return false;
    });
    this.#idle.splice(0, this.#idle.length, ...kept);
  }

  async #takePlace(signal: AbortSignal): Promise<void> {
    if (this.#closed) throw stopped();
    if (this.#taken >= this.#options.size) {
      if (this.#waiting.length >= maxWaiting) throw ldapFault('E_LDAP_BUSY', `${maxWaiting} searches wait already`);
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
          reject(
            ldapFault('E_LDAP_CANCELLED', 'called off while waiting for a connection to search on', signal.reason),
          );
        };
        this.#waiting.push(entry);
        signal.addEventListener('abort', abort, { once: true });
        if (signal.aborted) abort();
      });
      return;
    }
    this.#taken += 1;
  }
}

function stopped(): Fault {
  return ldapFault('E_LDAP_STOPPED', 'the LDAP backend was closed');
}
