import type { Clock } from '../clock.js';
import type { LdapConfig } from '../config/config.js';
import { Fault } from '../errors.js';
import type { Log } from '../observe/log.js';
import { createRateLimited, type RateLimited } from '../observe/rate-limited.js';
import { AnswerTimes } from './answer-times.js';
import type { CredentialBackend, LookedUp, RefusalReason, Verdict } from './backend.js';
import { accountAttributes, isAccountOf, type LdapAccount, toAccount, whyRefused } from './ldap-account.js';
import type { LdapConnection } from './ldap-client.js';
import { ldapFault } from './ldap-fault.js';
import { dnFor, filterFor, type LdapFilter } from './ldap-filter.js';
import type { LdapResult, LdapServer } from './ldap-messages.js';
import { LdapPool, throwIfBusy } from './ldap-pool.js';
import { LdapServers } from './ldap-servers.js';
import { type LdapSettings, readLdapSettings } from './ldap-settings.js';
import { isMailAddress, isPlausibleLogin } from './login.js';
import { PasswordSealer, type SealedPassword, SharedProofs } from './sealed-password.js';

const longestPasswordBytes = 4096;

/** What a session was accepted with. */
class LdapProof {
  readonly dn: string;
  readonly #password: SealedPassword;
  #stamp: string;

  constructor(dn: string, password: SealedPassword, stamp: string) {
    this.dn = dn;
    this.#password = password;
    this.#stamp = stamp;
  }

  isOf(account: LdapAccount): boolean {
    return account.stamp !== '' && account.stamp === this.#stamp && account.dn === this.dn;
  }

  heldAt(stamp: string): void {
    this.#stamp = stamp;
  }

  password(): string {
    return this.#password.open();
  }
}

export interface LdapBackendOptions {
  readonly config: LdapConfig;
  readonly log: Log;
  readonly clock: Clock;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Users of a directory. Throws `UsageError` for a configuration that can't work; a directory that is down is no reason
 * not to open: it is asked when somebody logs in.
 */
export async function openLdapBackend(options: LdapBackendOptions): Promise<CredentialBackend> {
  const settings = await readLdapSettings(options.config, options.env);
  const log = options.log.child({ part: 'credentials', backend: 'ldap' });
  for (const server of settings.clearText) {
    log.warn({ server }, 'passwords go to this server in clear text: use ldaps:// or credentials.ldap.startTls');
  }
  return new LdapBackend(settings, { ...options, log });
}

class LdapBackend implements CredentialBackend {
  readonly name = 'ldap';
  readonly #settings: LdapSettings;
  readonly #config: LdapConfig;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #noisyLog: RateLimited;
  /** Of the service account. No user's password ever passes through one of these, and no search through the others. */
  readonly #searches: LdapPool;
  readonly #binds: LdapPool;
  readonly #sealer = new PasswordSealer();
  readonly #proofs = new SharedProofs<LdapProof>();
  readonly #bindTimes: AnswerTimes;
  #toldInvisible = false;

  constructor(settings: LdapSettings, { config, clock, log }: LdapBackendOptions) {
    const { connectTimeoutMs, poolSize: keep, maxBackoffMs } = config;
    this.#settings = settings;
    this.#bindTimes = new AnswerTimes(clock);
    this.#config = config;
    this.#clock = clock;
    this.#log = log;
    this.#noisyLog = createRateLimited({ clock });
    const servers = new LdapServers(settings.servers, { maxBackoffMs, clock, log });
    const prepareSearch = (connection: LdapConnection, server: LdapServer, signal: AbortSignal) =>
      this.#serviceBind(connection, server, signal);
    const shared = { servers, clock, keep, connectTimeoutMs };
    this.#searches = new LdapPool({ ...shared, prepare: prepareSearch });
    this.#binds = new LdapPool({ ...shared, prepare: async () => {} });
  }

  /** A mail address, which is looked up and mapped. */
  acceptsLogin(login: string): boolean {
    return this.#settings.mailFilter !== null && isMailAddress(login);
  }

  /** A directory does not tell. */
  onRevoked(): void {}

  async close(): Promise<void> {
    this.#searches.close();
    this.#binds.close();
    this.#noisyLog.close();
  }

  async verify(typed: string, password: string, signal: AbortSignal): Promise<Verdict> {
    if (password === '') return refused('no-password');
    if (!isPlausibleLogin(typed)) return refused('invalid-login');
    // A server drops the connection on too long a request, which would look like trouble of its own.
    if (Buffer.byteLength(password) > longestPasswordBytes) return refused('invalid-password');
    let login = typed;
    if (this.acceptsLogin(typed)) {
      const found = await this.#loginOfMail(typed, signal);
      if (found.login === null) return this.#refusedUnasked(found.reason);
      login = found.login;
    }
    const found = await this.#find(login, signal);
    if (typeof found === 'string') return this.#refusedUnasked(found);
    if (found.disabled) return this.#refusedUnasked('disabled');
    if (found.login === null) return this.#refusedUnasked(this.#odd(found, 'the entry names no login, or several'));
    // Whose entry it is is not believed just because the server sent it; it may be a filter that finds others, too.
    if (!isMailAddress(login) && !isAccountOf(found, login)) {
      return this.#refusedUnasked(this.#odd(found, 'the directory answered with the entry of another login'));
    }
    const bound = await this.#bindTimes.measure(() => this.#bind(found.dn, password, signal));
    const reason = whyRefused(bound, this.#direct);
    if (reason !== null) return refused(reason);
    const told = this.#settings.groups.none ? {} : { groups: await this.#groupsOf(found.login, found, signal) };
    const proof = this.#proofs.get(this.#sealer.mark(found.dn, password), () => {
      return new LdapProof(found.dn, this.#sealer.seal(password), found.stamp);
    });
    proof.heldAt(found.stamp);
    return { accepted: true, login: found.login, proof, ...told };
  }

  #odd({ dn }: LdapAccount, what: string): RefusalReason {
    const attribute = this.#config.loginAttribute;
    this.#noisyLog.line(what, () => this.#log.warn({ dn, attribute }, what));
    return 'ambiguous';
  }

  /** The password was not tried; the answer comes when it would have been. */
  #refusedUnasked(reason: RefusalReason): Verdict {
    return { accepted: false, reason, delayMs: this.#bindTimes.sampleMs() };
  }

  /**
   * Looks at the entry without the password first. If it did not change since the password was last right, it still is.
   * If it did, or the directory doesn't show it, the user's bind is made again with the password of then.
   */
  async revalidate(login: string, proof: unknown, signal: AbortSignal): Promise<boolean> {
    if (!(proof instanceof LdapProof)) throw new Fault('E_CREDENTIAL_PROOF', 'the proof is not of this backend');
    const found = await this.#find(login, signal);
    if (typeof found === 'string' || found.disabled) return false;
    // An answer about somebody else ends nobody's session.
    if (!isAccountOf(found, login)) {
      throw ldapFault('E_LDAP_SEARCH', `search for ${login}: answered with the entry of another login`);
    }
    if (found.login !== login) return false;
    if (proof.isOf(found)) return true;
    if (whyRefused(await this.#bind(found.dn, proof.password(), signal), this.#direct) !== null) return false;
    if (found.dn === proof.dn) proof.heldAt(found.stamp);
    return true;
  }

  async groupsOf(login: string, signal: AbortSignal): Promise<readonly string[]> {
    if (this.#settings.groups.none) return [];
    const found = await this.#find(login, signal);
    return typeof found === 'string' || !isAccountOf(found, login) ? [] : this.#groupsOf(login, found, signal);
  }

  async lookUp(login: string, signal: AbortSignal): Promise<LookedUp> {
    if (!isPlausibleLogin(login)) return { exists: false, groups: [] };
    const found = await this.#find(login, signal);
    if (typeof found === 'string' || !isAccountOf(found, login)) return { exists: false, groups: [] };
    const groups = this.#settings.groups.none ? [] : await this.#groupsOf(login, found, signal);
    // In a direct bind it is the directory that knows, once there is a password.
    return { exists: found.entry === null ? null : true, groups };
  }

  async #groupsOf(login: string, { dn, entry }: LdapAccount, signal: AbortSignal): Promise<string[]> {
    const { groups } = this.#settings;
    const named = entry === null ? [] : groups.ofEntry(entry);
    const query = groups.query(login, dn);
    if (query === null) return named;
    const wait = { timeoutMs: this.#config.searchTimeoutMs, signal, clock: this.#clock };
    const answer = await this.#searches.ask(signal, (connection) => connection.search(query, wait));
    return [...new Set([...named, ...groups.ofAnswer(answer)])];
  }

  get #direct(): boolean {
    return this.#settings.searchFilter === null;
  }

  async #loginOfMail(
    mail: string,
    signal: AbortSignal,
  ): Promise<{ login: string } | { login: null; reason: RefusalReason }> {
    const filter = filterFor(this.#settings.mailFilter!, mail);
    const accounts = await this.#search(this.#config.searchBase, 'sub', filter, signal);
    if (accounts.length > 1) return { login: null, reason: 'ambiguous' };
    const login = accounts[0]?.login ?? null;
    if (login !== null) return { login };
    if (accounts.length === 1) this.#odd(accounts[0]!, 'an entry with a mail address names no login');
    return { login: null, reason: 'unknown-user' };
  }

  async #find(login: string, signal: AbortSignal): Promise<LdapAccount | RefusalReason> {
    const { searchBase, bindDn } = this.#config;
    const { searchFilter, groupFilter } = this.#settings;
    if (searchFilter === null) return this.#findDirect(dnFor(bindDn, login), login, signal);
    const filter = filterFor(searchFilter, login);
    const both: LdapFilter =
      groupFilter === null ? filter : { kind: 'and', filters: [filter, filterFor(groupFilter, login)] };
    const accounts = await this.#search(searchBase, 'sub', both, signal);
    if (accounts.length > 1) return 'ambiguous';
    return accounts[0] ?? 'unknown-user';
  }

  /** Direct bind: the DN is known, and its entry is looked at if the directory shows it to us. */
  async #findDirect(dn: string, login: string, signal: AbortSignal): Promise<LdapAccount | RefusalReason> {
    const { groupFilter, service } = this.#settings;
    const filter = groupFilter ?? { kind: 'present', attribute: 'objectClass' };
    let accounts: readonly LdapAccount[] = [];
    try {
      accounts = await this.#search(dn, 'base', filterFor(filter, login), signal);
    } catch (error) {
      const anonymousIsRefused = service === null && error instanceof Fault && error.code === 'E_LDAP_SEARCH';
      if (!anonymousIsRefused || groupFilter !== null) throw error;
      this.#tellInvisible(error.message);
    }
    if (accounts.length > 0) return { ...accounts[0]!, dn };
    if (groupFilter !== null || service !== null) return 'unknown-user';
    // Without an entry nobody says how the login is really spelled, and directories take many spellings for one.
    if (!/^[a-z0-9._-]+$/u.test(login)) return 'invalid-login';
    return { dn, entry: null, login, logins: [login], disabled: false, stamp: '' };
  }

  #tellInvisible(reason: string): void {
    if (this.#toldInvisible) return;
    this.#toldInvisible = true;
    this.#log.warn(
      { reason },
      'the directory does not show entries to us, so an account that is disabled but can still bind is not noticed: ' +
        'set credentials.ldap.serviceDn',
    );
  }

  async #search(
    base: string,
    scope: 'base' | 'sub',
    filter: LdapFilter,
    signal: AbortSignal,
  ): Promise<readonly LdapAccount[]> {
    const { loginAttribute } = this.#config;
    const attributes = [...accountAttributes(loginAttribute), ...this.#settings.groups.attributes];
    const query = { base, scope, filter, attributes, sizeLimit: 2 };
    const wait = { timeoutMs: this.#config.searchTimeoutMs, signal, clock: this.#clock };
    const answer = await this.#searches.ask(signal, (connection) => connection.search(query, wait));
    const { code, message, entries } = answer;
    // 4: there are more entries than the two that were asked for. 32: there is no such entry, which is an answer only
    // where the entry itself was asked for.
    if (code !== 0 && code !== 4 && !(scope === 'base' && (code === 32 || code === 34))) {
      throw ldapFault(
        code === 10 ? 'E_LDAP_REFERRAL' : 'E_LDAP_SEARCH',
        `search below ${base}: ${message} (LDAP result ${code})`,
      );
    }
    return entries.map((entry) => toAccount(entry, loginAttribute, this.#clock.epochMs()));
  }

  /** Each bind forgets the one before it (RFC 4511, 4.2.1), and nothing but binds is asked on these connections. */
  #bind(dn: string, password: string, signal: AbortSignal): Promise<LdapResult> {
    const wait = { timeoutMs: this.#config.bindTimeoutMs, signal, clock: this.#clock };
    return this.#binds.ask(signal, (connection) => connection.bind(dn, password, wait));
  }

  async #serviceBind(connection: LdapConnection, server: LdapServer, signal: AbortSignal): Promise<void> {
    const { service } = this.#settings;
    if (service === null) return;
    const wait = { timeoutMs: this.#config.bindTimeoutMs, signal, clock: this.#clock };
    const result = await connection.bind(service.dn, await service.password(), wait);
    if (result.code === 0) return;
    throwIfBusy(result, server);
    const words = `${result.message} (LDAP result ${result.code})`;
    throw ldapFault('E_LDAP_SERVICE_BIND', `${server.name}: rejects the service account ${service.dn}: ${words}`);
  }
}

function refused(reason: RefusalReason): Verdict {
  return { accepted: false, reason };
}
