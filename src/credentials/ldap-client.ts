import { isIP, type Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import ldapjs from 'ldapjs';
import { Fault } from '../errors.js';
import { connectionFault, ldapFault } from './ldap-fault.js';
import type { LdapFilter } from './ldap-filter.js';
import {
  entryOf,
  type LdapAnswer,
  type LdapEntry,
  type LdapQuery,
  type LdapResult,
  type LdapServer,
  type Wait,
} from './ldap-messages.js';
import { answersTo, LdapReader } from './ldap-reader.js';

/*
 * The only file that knows ldapjs. A connection is used until its first trouble and then thrown away: ldapjs's own
 * reconnecting, queueing and timeouts stay off. What it leaves undone is done here: it gives no hold on a socket that
 * is still connecting, its timeouts and destroy() leave sockets open, an answer with an unknown result code throws out
 * of its data handler, bytes sent ahead of a StartTLS handshake would be read as if they had come through TLS, any
 * message with the right id is taken for the answer, and one with another id, or garbage, is waited out.
 */

/** What is used of ldapjs beyond its published types. */
interface Internals {
  readonly urls: { port: unknown; hostname: string | undefined }[];
  readonly _socket: Socket | null;
  readonly _tracker: { readonly parser: { write(data: Buffer): boolean } } | null;
}

const silent = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, fatal() {}, child: () => silent };
const ignore = (): void => {};

/** Connects, with TLS where `server.security` says so. Rejects with a `Fault`, and leaves no socket behind then. */
export async function connectLdap(server: LdapServer, wait: Wait): Promise<LdapConnection> {
  const connection = new LdapConnection(server);
  await connection.open(wait);
  return connection;
}

export class LdapConnection {
  readonly #server: LdapServer;
  readonly #client: ldapjs.Client & Internals;
  /** Ends the socket in every state, also while it is connecting. */
  readonly #socketLife = new AbortController();
  readonly #waiting = new Set<(fault: Fault) => void>();
  readonly #reader: LdapReader;
  /** What ldapjs tells now is about the message that it is reading. */
  #parsing = false;
  #failure: Fault | null = null;

  constructor(server: LdapServer) {
    this.#server = server;
    this.#reader = new LdapReader(server.name);
    const { host, port, security } = server;
    this.#client = ldapjs.createClient({
      url: `${security === 'tls' ? 'ldaps' : 'ldap'}://localhost`,
      tlsOptions: tlsOptions(server),
      reconnect: false,
      log: silent,
    }) as ldapjs.Client & Internals;
    // ldapjs connects in a later turn and hands `port` and `hostname` to net.connect or tls.connect as they are. Options
    // in their place bring the signal in, and an IPv6 address without the brackets that it would look up by name.
    Object.assign(this.#client.urls[0]!, {
      hostname: undefined,
      port: { host, port, signal: this.#socketLife.signal },
    });
    const lost = (error: unknown) =>
      this.#fail(this.#parsing ? this.#nonsense(error) : connectionFault(error, server.name));
    const closed = () => this.#fail(ldapFault('E_LDAP_CLOSED', `${server.name}: closed the connection`));
    for (const event of ['error', 'connectError', 'connectRefused', 'connectTimeout', 'setupError']) {
      this.#client.on(event, lost);
    }
    this.#client.on('end', closed);
    this.#client.on('close', closed);
  }

  /** Null while the connection can be used. */
  get failure(): Fault | null {
    return this.#failure;
  }

  async open(wait: Wait): Promise<void> {
    await this.#within<void>(wait, 'to connect', (resolve) => {
      this.#client.once('connect', () => {
        this.#client._socket?.setNoDelay(true).setKeepAlive(true, 30_000);
        this.#readFirst();
        resolve();
      });
    });
    if (this.#server.security === 'starttls') await this.#startTls(wait);
  }

  /** A simple bind. An empty password is never sent: servers take that for an anonymous bind that succeeds. */
  async bind(dn: string, password: string, wait: Wait): Promise<LdapResult> {
    if (password === '')
      throw ldapFault('E_LDAP_BIND', 'a bind with an empty password proves nothing (RFC 4513, 5.1.2)');
    return this.#within(wait, 'for the answer to a bind', (resolve) => {
      this.#reader.await(answersTo.bind);
      this.#client.bind(dn, password, (error) => resolve({ code: error?.code ?? 0, message: error?.message ?? '' }));
    });
  }

  /** References to other servers in the answer are passed over. */
  async search(query: LdapQuery, wait: Wait): Promise<LdapAnswer> {
    const options = {
      scope: query.scope,
      filter: toLdapjs(query.filter),
      attributes: [...query.attributes],
      sizeLimit: query.sizeLimit,
      timeLimit: Math.ceil(wait.timeoutMs / 1000),
    };
    return this.#within(wait, 'for the answer to a search', (resolve) => {
      const entries: LdapEntry[] = [];
      const done = (error: ldapjs.Error | null) =>
        resolve({ code: error?.code ?? 0, message: error?.message ?? '', entries });
      this.#reader.await(answersTo.search, query.sizeLimit);
      this.#client.search(query.base, options, (error, response) => {
        if (error) return done(error);
        response.on('searchEntry', (entry) => entries.push(toEntry(entry)));
        response.on('error', done);
        response.on('end', () => done(null));
      });
    });
  }

  /** Says goodbye and lets go of the socket at once. Nothing that waits is left waiting. */
  close(): void {
    this.#fail(ldapFault('E_LDAP_CLOSED', `${this.#server.name}: the connection was closed here`));
  }

  async #startTls(wait: Wait): Promise<void> {
    const { name } = this.#server;
    await this.#within<void>(wait, 'for StartTLS', (resolve) => {
      this.#reader.await(answersTo.startTls);
      this.#client.starttls(tlsOptions(this.#server), [], (error) => {
        const { code, message } = (error ?? {}) as { code?: unknown; message?: string };
        if (!error) return resolve();
        // ldapjs has just taken every listener off the TLS socket; an error that follows must not end the process.
        this.#client._socket?.on('error', ignore);
        if (typeof code === 'number') {
          return this.#fail(
            ldapFault('E_LDAP_TLS', `${name}: refuses StartTLS: ${message} (LDAP result ${code})`, error),
          );
        }
        const fault = connectionFault(error, name);
        this.#fail(fault.code === 'E_LDAP_TLS' ? fault : ldapFault('E_LDAP_TLS', `${name}: no TLS: ${message}`, error));
      });
    });
    // Bytes behind the answer to StartTLS came before TLS, from anybody. Left in the buffer they would become the
    // beginning of the next answer: a forged "bind succeeded" that swallows the real one.
    if (this.#reader.pendingBytes > 0) {
      throw this.#fail(ldapFault('E_LDAP_TLS', `${name}: sent something between StartTLS and the TLS handshake`));
    }
  }

  /** Whatever a server sends is looked at before ldapjs sees it. */
  #readFirst(): void {
    const parser = this.#client._tracker!.parser;
    const parse = parser.write.bind(parser);
    parser.write = (data) => {
      if (this.#failure !== null) return false;
      try {
        for (const message of this.#reader.read(data)) {
          this.#parsing = true;
          parse(message);
          if (this.#failure !== null) return false;
        }
        return true;
      } catch (error) {
        // ldapjs throws out of here at a result code that it does not know.
        this.#fail(error instanceof Fault ? error : this.#nonsense(error));
        return false;
      } finally {
        this.#parsing = false;
      }
    };
  }

  #nonsense(error: unknown): Fault {
    const why = (error as Error).message;
    return ldapFault('E_LDAP_PROTOCOL', `${this.#server.name}: sent what makes no sense: ${why}`, error);
  }

  #within<T>(wait: Wait, what: string, start: (resolve: (value: T) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#failure !== null) return reject(this.#failure);
      if (wait.signal.aborted)
        return reject(this.#fail(ldapFault('E_LDAP_CANCELLED', 'called off', wait.signal.reason)));
      const settle = (): void => {
        cancelTimer();
        wait.signal.removeEventListener('abort', abort);
        this.#waiting.delete(failed);
      };
      const failed = (fault: Fault): void => {
        settle();
        reject(fault);
      };
      const abort = () =>
        void this.#fail(
          ldapFault('E_LDAP_CANCELLED', `${this.#server.name}: called off while waiting ${what}`, wait.signal.reason),
        );
      const cancelTimer = wait.clock.after(wait.timeoutMs, () => {
        this.#fail(ldapFault('E_LDAP_TIMEOUT', `${this.#server.name}: waited ${wait.timeoutMs} ms ${what}`));
      });
      wait.signal.addEventListener('abort', abort, { once: true });
      this.#waiting.add(failed);
      const succeeded = (value: T): void => {
        settle();
        resolve(value);
      };
      try {
        start(succeeded);
      } catch (error) {
        this.#fail(ldapFault('E_LDAP_PROTOCOL', `${this.#server.name}: ldapjs: ${(error as Error).message}`, error));
      }
    });
  }

  /** The first trouble is the last: everything that waits learns of it and the socket goes. */
  #fail(fault: Fault): Fault {
    if (this.#failure !== null) return this.#failure;
    this.#failure = fault;
    for (const failed of [...this.#waiting]) failed(fault);
    this.#client._socket?.on('error', ignore);
    this.#client.destroy();
    this.#socketLife.abort();
    return fault;
  }
}

function tlsOptions({ host, trust }: LdapServer): ConnectionOptions {
  return {
    host,
    // An IP address is no server name in TLS (RFC 6066, 3); the certificate is checked against `host` all the same.
    ...(isIP(host) === 0 ? { servername: host } : {}),
    secureContext: trust,
  };
}

function toEntry(entry: ldapjs.SearchEntry): LdapEntry {
  const { attributes, objectName } = entry as unknown as {
    attributes: { type: string; values: string[] }[];
    objectName: { toString(): string };
  };
  return entryOf(objectName.toString(), attributes);
}

/** ldapjs's filter objects, made without its text parser: that one keeps escapes as they are written. */
function toLdapjs(filter: LdapFilter): ldapjs.Filter {
  switch (filter.kind) {
    case 'and':
      return new ldapjs.AndFilter({ filters: filter.filters.map(toLdapjs) });
    case 'or':
      return new ldapjs.OrFilter({ filters: filter.filters.map(toLdapjs) });
    case 'not':
      return new ldapjs.NotFilter({ filter: toLdapjs(filter.filter) });
    case 'present':
      return new ldapjs.PresenceFilter({ attribute: filter.attribute });
    case 'equal': {
      const { attribute, value } = filter;
      const options = { attribute, value, raw: Buffer.from(value) };
      return new ldapjs.EqualityFilter(options);
    }
    case 'atLeast':
      return new ldapjs.GreaterThanEqualsFilter(filter);
    case 'atMost':
      return new ldapjs.LessThanEqualsFilter(filter);
    case 'approx':
      return new ldapjs.ApproximateFilter(filter);
    case 'substrings': {
      const { attribute, initial, any, final } = filter;
      return new ldapjs.SubstringFilter({ attribute, initial, any: [...any], final });
    }
    case 'extensible': {
      const { attribute, rule, dn, value } = filter;
      const options = { attribute, rule, value, matchType: attribute, dnAttributes: dn };
      return new ldapjs.ExtensibleFilter(options);
    }
  }
}
