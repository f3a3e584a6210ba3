import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../clock.js';
import type { Bans } from '../credentials/bans.js';
import type { LiveSession } from '../credentials/revalidation.js';
import type { Accounts } from '../session/accounts.js';
import type { UserAccount } from '../session/user-account.js';

/** Of one user, in as many browsers; a further one ends the oldest. */
const LOGINS_PER_USER = 16;
const BYTES_PER_LOGIN = 1_024;
const TICKET_MS = 30_000;
/** So that a password is rarely taken for one. */
const TICKET_PREFIX = 'ticket-';

/** Somebody who is logged in with a browser. */
export interface Login extends LiveSession {
  readonly account: UserAccount;
  readonly untilMs: number;
  /** What has to end with it. */
  readonly streams: Set<() => void>;
  /** The password of one MQTT connection, as a digest. */
  ticket: { readonly digest: string; readonly untilMs: number } | null;
}

/** Who is logged in. Of what browsers show only digests are kept; nothing survives a restart. */
export class Logins {
  readonly #accounts: Accounts;
  readonly #bans: Pick<Bans, 'of'>;
  readonly #clock: Clock;
  #byDigest = new Map<string, Login>();
  readonly #byLogin = new Map<string, Set<Login>>();

  constructor(options: { readonly accounts: Accounts; readonly bans: Pick<Bans, 'of'>; readonly clock: Clock }) {
    this.#accounts = options.accounts;
    this.#bans = options.bans;
    this.#clock = options.clock;
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
      ...{ login, proof, account, untilMs: this.#clock.monotonicMs() + forMs, streams: new Set(), ticket: null },
      close: () => this.#end(digest, it),
    };
    this.#byDigest.set(digest, it);
    const others = this.#byLogin.get(login) ?? new Set();
    this.#byLogin.set(login, others.add(it));
    if (others.size > LOGINS_PER_USER) others.values().next().value!.close('revoked');
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
    for (const each of [...this.#byDigest.values()]) {
      if (nowMs >= each.untilMs || this.#bans.of('login', each.login) !== null) each.close('revoked');
    }
  }

  /** For a page that wants to connect with MQTT, and keeps no password: good once, and soon no more. */
  issueTicket(it: Login): string {
    const ticket = `${TICKET_PREFIX}${randomBytes(24).toString('base64url')}`;
    it.ticket = { digest: digestOf(ticket), untilMs: this.#clock.monotonicMs() + TICKET_MS };
    return ticket;
  }

  /** Who was given this ticket, if it is one. */
  redeem(login: string, password: string): Login | null {
    if (!password.startsWith(TICKET_PREFIX)) return null;
    const digest = digestOf(password);
    for (const each of this.#byLogin.get(login) ?? []) {
      if (each.ticket?.digest !== digest) continue;
      const { untilMs } = each.ticket;
      each.ticket = null;
      return this.#clock.monotonicMs() < untilMs ? each : null;
    }
    return null;
  }

  close(): void {
    for (const each of [...this.#byDigest.values()]) each.close('revoked');
  }

  #end(digest: string, it: Login): void {
    if (!this.#byDigest.delete(digest)) return;
    const others = this.#byLogin.get(it.login);
    others?.delete(it);
    if (others?.size === 0) this.#byLogin.delete(it.login);
    for (const end of [...it.streams]) end();
    it.account.balances.pages.add(-BYTES_PER_LOGIN);
    this.#accounts.release(it.account);
  }
}

function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64');
}
