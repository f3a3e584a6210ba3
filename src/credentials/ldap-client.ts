import { isIP, type Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import ldapjs from 'ldapjs';
import type { Fault } from '../errors.js';
import { connectionFault, ldapFault } from './ldap-fault.js';
import type { LdapFilter } from './ldap-filter.js';
import type { LdapAnswer, LdapEntry, LdapQuery, LdapResult, LdapServer, Wait } from './ldap-messages.js';

/*
 * The only file that knows ldapjs. A connection is used until its first trouble and then thrown away: ldapjs's own
 * reconnecting, queueing and timeouts stay off. What it leaves undone is done here: it gives no hold on a socket that
 * is still connecting, its timeouts and destroy() leave sockets open, an answer with an unknown result code throws out
 * of its data handler, and bytes sent ahead of a StartTLS handshake would be read as if they had come through TLS.
 */

/** What is used of ldapjs beyond its published types. */
interface Internals {
  readonly urls: { port: unknown; hostname: string | undefined }[];
  readonly _socket: Socket | null;
  readonly _tracker: { readonly parser: { buffer: Buffer | null; write(data: Buffer): boolean } } | null;
}

const longestMessageBytes = 1024 * 1024;
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
  #failure: Fault | null = null;

  constructor(server: LdapServer) {
    this.#server = server;
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
    const lost = (error: unknown) => this.#fail(connectionFault(error, server.name));
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
        this.#guardParser();
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
      this.#client.bind(dn, password, (error, response?: { type?: string }) => {
        if (error) return resolve({ code: error.code, message: error.message });
        if (response?.type === 'BindResponse') return resolve({ code: 0, message: '' });
        this.#fail(ldapFault('E_LDAP_PROTOCOL', `${this.#server.name}: answered a bind with something else`));
      });
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
    if (this.#client._tracker?.parser.buffer) {
      throw this.#fail(ldapFault('E_LDAP_TLS', `${name}: sent something between StartTLS and the TLS handshake`));
    }
  }

  /** Nothing that a server sends may throw out of ldapjs's data handler, or be collected without limit. */
  #guardParser(): void {
    const parser = this.#client._tracker!.parser;
    const write = parser.write.bind(parser);
    parser.write = (data) => {
      if (this.#failure !== null) return false;
      try {
        const more = write(data);
        if ((parser.buffer?.length ?? 0) <= longestMessageBytes) return more;
        this.#fail(
          ldapFault('E_LDAP_PROTOCOL', `${this.#server.name}: sent a message of over ${longestMessageBytes} bytes`),
        );
      } catch (error) {
        this.#fail(ldapFault('E_LDAP_PROTOCOL', `${this.#server.name}: sent an answer that makes no sense`, error));
      }
      return false;
    };
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
  // A server may give the values of one attribute in several portions.
  const map = new Map<string, string[]>();
  for (const { type, values } of attributes) {
    const name = type.toLowerCase();
    map.set(name, [...(map.get(name) ?? []), ...values]);
  }
  // ldapjs writes the DN anew, in an escaping that Active Directory does not take; the server's own text is better.
  const dn = map.get('entrydn')?.[0] ?? map.get('distinguishedname')?.[0] ?? objectName.toString();
  return { dn, values: (attribute) => map.get(attribute.toLowerCase()) ?? [] };
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
