import type { Clock } from '../clock.js';
import type { LdapConfig } from '../config/config.js';
import { Fault } from '../errors.js';
import { bad, type CheckedLogin, type CheckStep, good, note } from './check.js';
import { accountAttributes, type LdapAccount, toAccount } from './ldap-account.js';
import { connectLdap, type LdapConnection } from './ldap-client.js';
import { dnFor, filterFor, type LdapFilter } from './ldap-filter.js';
import type { LdapServer, Wait } from './ldap-messages.js';
import { type LdapSettings, readLdapSettings } from './ldap-settings.js';
import { isMailAddress } from './login.js';

const anything: LdapFilter = { kind: 'present', attribute: 'objectClass' };

/**
 * Goes the way of a login step by step, on each server: reach, TLS, service account, search, user bind. Every step says
 * what it found; the first that fails ends the way on that server. Throws `UsageError` like the backend itself.
 */
export async function* checkLdap(options: {
  readonly config: LdapConfig;
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly user: CheckedLogin | null;
}): AsyncGenerator<CheckStep> {
  const settings = await readLdapSettings(options.config, options.env);
  yield good('the LDAP section of the configuration can work');
  for (const server of settings.clearText) yield note(`${server}: passwords go there in clear text`);
  for (const server of settings.servers) {
    const check = new ServerCheck(server, settings, options.config, options.clock);
    try {
      yield* check.run(options.user);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      yield bad(`${error.message} (${error.code})${hintFor(error.code)}`);
    } finally {
      check.close();
    }
  }
}

class ServerCheck {
  readonly #server: LdapServer;
  readonly #settings: LdapSettings;
  readonly #config: LdapConfig;
  readonly #clock: Clock;
  readonly #open: LdapConnection[] = [];

  constructor(server: LdapServer, settings: LdapSettings, config: LdapConfig, clock: Clock) {
    this.#server = server;
    this.#settings = settings;
    this.#config = config;
    this.#clock = clock;
  }

  close(): void {
    for (const connection of this.#open) connection.close();
  }

  async *run(user: CheckedLogin | null): AsyncGenerator<CheckStep> {
    const { name, security } = this.#server;
    const searching = await this.#connect();
    const tls = {
      none: '',
      tls: ', TLS with a trusted certificate',
      starttls: ', StartTLS with a trusted certificate',
    };
    yield good(`${name}: connected${tls[security]}`);
    yield* this.#serviceBind(searching);
    const { searchBase } = this.#config;
    if (searchBase !== '') {
      const { code, message } = await this.#search(searching, searchBase, 'base', anything);
      if (code !== 0) return yield bad(`${name}: cannot read credentials.ldap.searchBase ${searchBase}: ${message}`);
      yield good(`${name}: ${searchBase} is there`);
    }
    if (user !== null) yield* this.#user(searching, user);
  }

  async *#serviceBind(connection: LdapConnection): AsyncGenerator<CheckStep> {
    const { service } = this.#settings;
    const { name } = this.#server;
    if (service === null) return yield note(`${name}: no service account (credentials.ldap.serviceDn): anonymous`);
    const { code, message } = await connection.bind(service.dn, await service.password(), this.#wait('bindTimeoutMs'));
    if (code !== 0)
      throw new Fault('E_LDAP_SERVICE_BIND', `${name}: rejects ${service.dn}: ${message} (result ${code})`);
    yield good(`${name}: service account ${service.dn} accepted`);
  }

  async *#user(connection: LdapConnection, { login: typed, password }: CheckedLogin): AsyncGenerator<CheckStep> {
    const { mailFilter, groupFilter, searchFilter } = this.#settings;
    const { searchBase, bindDn, loginAttribute } = this.#config;
    let login = typed;
    if (mailFilter !== null && isMailAddress(typed)) {
      const { accounts } = await this.#search(connection, searchBase, 'sub', filterFor(mailFilter, typed));
      if (accounts.length !== 1) return yield bad(`${typed}: ${countOf(accounts)} with this mail address, not one`);
      login = accounts[0]!.login ?? typed;
      yield good(`${typed}: is the mail address of ${login}`);
    }
    const base = searchFilter === null ? dnFor(bindDn, login) : searchBase;
    const scope = searchFilter === null ? 'base' : 'sub';
    const filter = searchFilter === null ? anything : filterFor(searchFilter, login);
    const { accounts, message } = await this.#search(connection, base, scope, filter);
    const account = accounts[0];
    if (accounts.length > 1)
      return yield bad(`${login}: ${countOf(accounts)}: ${accounts.map(({ dn }) => dn).join('; ')}`);
    if (account === undefined && (scope === 'sub' || this.#settings.service !== null)) {
      return yield bad(`${login}: no entry below ${base}${message === '' ? '' : `: ${message}`}`);
    }
    if (account === undefined) {
      yield note(`${login}: the directory does not show the entry to us, so a disabled account is not noticed`);
    } else {
      yield good(`${login}: found as ${account.dn}`);
      if (account.login === null) return yield bad(`${account.dn}: ${loginAttribute} does not say which login it is`);
      if (account.login !== login) yield note(`${login}: is spelled ${account.login}; that is the tree of topics`);
      if (account.disabled) return yield bad(`${account.dn}: is disabled`);
      yield account.stamp === ''
        ? note(`${account.dn}: no time of change to be seen; live sessions are checked by binding again`)
        : good(`${account.dn}: not disabled`);
    }
    if (groupFilter !== null) {
      const both: LdapFilter = { kind: 'and', filters: [filter, filterFor(groupFilter, login)] };
      const members = await this.#search(connection, base, scope, both);
      if (members.accounts.length !== 1) return yield bad(`${login}: does not match credentials.ldap.groupFilter`);
      yield good(`${login}: matches credentials.ldap.groupFilter`);
    }
    yield await this.#userBind(account?.dn ?? base, password);
  }

  async #userBind(dn: string, password: string): Promise<CheckStep> {
    const connection = await this.#connect();
    const { code, message } = await connection.bind(dn, password, this.#wait('bindTimeoutMs'));
    if (code === 0) return good(`${dn}: the password is right`);
    if (code === 49) return bad(`${dn}: the password is wrong (LDAP result 49: ${message})`);
    return bad(`${dn}: the bind is refused: ${message} (LDAP result ${code})`);
  }

  async #connect(): Promise<LdapConnection> {
    const connection = await connectLdap(this.#server, this.#wait('connectTimeoutMs'));
    this.#open.push(connection);
    return connection;
  }

  async #search(
    connection: LdapConnection,
    base: string,
    scope: 'base' | 'sub',
    filter: LdapFilter,
  ): Promise<{ accounts: readonly LdapAccount[]; code: number; message: string }> {
    const { loginAttribute } = this.#config;
    const query = { base, scope, filter, attributes: accountAttributes(loginAttribute), sizeLimit: 2 };
    const { code, message, entries } = await connection.search(query, this.#wait('searchTimeoutMs'));
    const accounts = entries.map((entry) => toAccount(entry, loginAttribute, this.#clock.epochMs()));
    return { accounts, code, message: code === 0 ? '' : `${message} (LDAP result ${code})` };
  }

  #wait(key: 'connectTimeoutMs' | 'bindTimeoutMs' | 'searchTimeoutMs'): Wait {
    return { timeoutMs: this.#config[key], signal: new AbortController().signal, clock: this.#clock };
  }
}

function countOf(accounts: readonly unknown[]): string {
  return accounts.length === 0 ? 'no entry' : `${accounts.length} entries or more`;
}

function hintFor(code: string): string {
  switch (code) {
    case 'E_LDAP_TLS':
      return '. Is credentials.ldap.ca the CA of this server, and the host name in credentials.ldap.urls in its certificate?';
    case 'E_LDAP_UNREACHABLE':
      return '. Is it running, and the host name and port in credentials.ldap.urls right?';
    case 'E_LDAP_SERVICE_BIND':
      return '. Are credentials.ldap.serviceDn and its password right?';
    default:
      return '';
  }
}
