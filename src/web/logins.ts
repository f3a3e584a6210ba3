import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../clock.js';
import type { Bans } from '../credentials/bans.js';
import type { Admitted } from '../credentials/guard.js';
import type { LiveSession } from '../credentials/revalidation.js';
import type { Accounts } from '../session/accounts.js';
import type { UserAccount } from '../session/user-account.js';
import { type TicketHolder, Tickets } from './tickets.js';

/** Of one user, in as many browsers; a further one ends the oldest. */
const LOGINS_PER_USER = 16;
/** With its tickets, and what it knows of the connections that they opened. */
const BYTES_PER_LOGIN = 4_096;

/** Somebody who is logged in with a browser. */
export interface Login extends LiveSession, TicketHolder {
  readonly login: string;
  readonly account: UserAccount;
  readonly untilMs: number;
  /** What has to end with it. */
  readonly streams: Set<() => void>;
  /** A connection was opened with one of its tickets: it ends with it. */
  admit(connection: Admitted): void;
  close(reason: 'revoked' | 'logged-out'): void;
}

/** Who is logged in. Of what browsers show only digests are kept; nothing survives a restart. */
export class Logins {
  readonly #accounts: Accounts;
  readonly #bans: Pick<Bans, 'of'>;
  readonly #clock: Clock;
  readonly #tickets: Tickets;
  /** Those that tickets have opened; closed ones until they are looked at. */
  readonly #connections = new Map<Login, Set<Admitted>>();
  readonly #byDigest = new Map<string, Login>();
  readonly #byLogin = new Map<string, Set<Login>>();

  constructor(options: { readonly accounts: Accounts; readonly bans: Pick<Bans, 'of'>; readonly clock: Clock }) {
    this.#accounts = options.accounts;
    this.#bans = options.bans;
    this.#clock = options.clock;
    this.#tickets = new Tickets(options.clock);
  }

  /** Returns what the browser is to show; null when the user holds as much as is allowed. */
  begin({ login, proof }: { readonly login: string; readonly proof: unknown }, forMs: number): string | null {
    const account = this.#accounts.open(login);
    if (!account.hasRoom(BYTES_PER_LOGIN)) {
      this.#accounts.release(account);
      return null;
    }
    account.balances.pages.add(BYTES_PER_LOGIN);
    const token = randomBytes(32).toString('base64url');
    const digest = digestOf(token);
    const it: Login = {
      ...{ login, proof, account, untilMs: this.#clock.monotonicMs() + forMs, streams: new Set(), tickets: new Map() },
      admit: (connection) => this.#admit(digest, it, connection),
      close: (reason) => this.#end(digest, it, reason),
    };
    this.#byDigest.set(digest, it);
    const others = this.#byLogin.get(login) ?? new Set();
    this.#byLogin.set(login, others.add(it));
    if (others.size > LOGINS_PER_USER) others.values().next().value!.close('logged-out');
    return token;
  }

  /** Who shows this. */
  find(token: string): Login | null {
    return this.#byDigest.get(digestOf(token)) ?? null;
  }

  values(): Iterable<Login> {
    return this.#byDigest.values();
  }

  /** All of a user's. */
  of(login: string): Iterable<Login> {
    return this.#byLogin.get(login) ?? [];
  }

  /** Ends all of a user's. */
  endUser(login: string): void {
    for (const each of [...(this.#byLogin.get(login) ?? [])]) each.close('revoked');
  }

  /** Ends those that have lasted as long as they may, and those of who is banned. */
  tick(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const connections of this.#connections.values()) {
      for (const each of connections) if (each.closed) connections.delete(each);
    }
    for (const each of [...this.#byDigest.values()]) {
      if (nowMs >= each.untilMs) each.close('logged-out');
      else if (this.#bans.of('login', each.login) !== null) each.close('revoked');
    }
  }

  issueTicket(it: Login): string {
    return this.#tickets.issue(it);
  }

  /** Who was given this ticket, if it is one. */
  redeem(login: string, password: string): Login | 'used' | null {
    return this.#tickets.redeem(login, password, this.of(login));
  }

  /** Connections are for others to close. */
  close(): void {
    this.#connections.clear();
    for (const each of [...this.#byDigest.values()]) each.close('revoked');
  }

  #admit(digest: string, it: Login, connection: Admitted): void {
    // Between its ticket and its session others had their turns.
    if (!this.#byDigest.has(digest)) {
      connection.close('logged-out');
      return;
    }
    const connections = this.#connections.get(it) ?? new Set();
    this.#connections.set(it, connections.add(connection));
  }

  #end(digest: string, it: Login, reason: 'revoked' | 'logged-out'): void {
    if (!this.#byDigest.delete(digest)) return;
    const others = this.#byLogin.get(it.login);
    others?.delete(it);
    if (others?.size === 0) this.#byLogin.delete(it.login);
    for (const end of [...it.streams]) end();
    for (const connection of this.#connections.get(it) ?? []) connection.close(reason);
    this.#connections.delete(it);
    it.account.balances.pages.add(-BYTES_PER_LOGIN);
    this.#accounts.release(it.account);
  }
}

function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64');
}
