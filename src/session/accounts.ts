import type { Clock } from '../clock.js';
import type { Ledger } from '../fairness/ledger.js';
import { Pace, type Rate } from '../fairness/pace.js';
import type { Scheduler } from '../fairness/scheduler.js';
import { isGroupSubject } from '../group-name.js';
import { Traffic } from '../mqtt/traffic.js';
import type { Counters } from '../observe/counters.js';
import type { Log } from '../observe/log.js';
import type { RateLimited } from '../observe/rate-limited.js';
import type { Store, UserRecord } from '../store/contract.js';
import { RecentTraffic } from './recent-traffic.js';
import { NO_GROUPS, UserAccount } from './user-account.js';
import type { LimitOverride, LimitRules, LimitRulesConfig } from './user-limits.js';

export interface AccountsOptions {
  readonly ledger: Ledger;
  readonly limitRules: LimitRules;
  readonly scheduler: Scheduler;
  readonly clock: Clock;
  readonly store: Pick<Store, 'putUser' | 'deleteUser'>;
  readonly log: Log;
  readonly noisyLog: RateLimited;
  readonly counters: Pick<Counters, 'publishesDelayedMs' | 'limitHits'>;
  /** Is told what is kept of those who have left. */
  readonly balance: { add(bytes: number): void };
}

/** The accounts of the users who have something here: a connection, a session, a retained message. */
export class Accounts {
  readonly #options: AccountsOptions;
  readonly #byLogin = new Map<string, UserAccount>();
  /** Who has nothing here but a rate that he has used up: coming again must not be a way to another one. */
  readonly #owing = new Set<UserAccount>();
  readonly #recent: RecentTraffic;

  constructor(options: AccountsOptions) {
    this.#options = options;
    this.#recent = new RecentTraffic(options.clock, options.balance);
  }

  values(): Iterable<UserAccount> {
    return this.#byLogin.values();
  }

  /** Undefined for who has nothing here. */
  known(login: string): UserAccount | undefined {
    return this.#byLogin.get(login);
  }

  /** Those too who have nothing here any more, but had lately: as an account that holds nothing. */
  *seenLately(): Generator<UserAccount> {
    yield* this.#byLogin.values();
    for (const [login, traffic] of this.#recent) yield this.#make(login, traffic);
  }

  /** What went over their connections. */
  *traffic(): Generator<readonly [login: string, traffic: Traffic]> {
    for (const { login, traffic } of this.#byLogin.values()) yield [login, traffic];
    yield* this.#recent;
  }

  trafficOf(login: string): Traffic | undefined {
    return this.#byLogin.get(login)?.traffic ?? this.#recent.get(login);
  }

  /** With the same, as an account; undefined for whom nobody has seen lately. */
  seen(login: string): UserAccount | undefined {
    const traffic = this.#recent.get(login);
    return traffic === undefined ? this.#byLogin.get(login) : this.#make(login, traffic);
  }

  open(login: string): UserAccount {
    let account = this.#byLogin.get(login);
    if (account === undefined) {
      account = this.#options.ledger.open(this.#make(login, this.#recent.take(login)));
      this.#byLogin.set(login, account);
      this.#limit(account);
    }
    return account;
  }

  /** Forgets the account of a user who has nothing left here. */
  release(account: UserAccount): void {
    if (!account.idle || this.#byLogin.get(account.login) !== account) return;
    const { incoming, outgoing } = account;
    if (incoming?.full === false || outgoing?.full === false) {
      this.#owing.add(account);
      return;
    }
    this.setGroups(account, NO_GROUPS);
    account.topics.clear();
    this.#byLogin.delete(account.login);
    this.#options.ledger.close(account);
    if (account.traffic.bytesReceived > 0) this.#recent.keep(account.login, account.traffic);
  }

  /** Nothing is known any more of who was here lately. */
  forget(login: string): void {
    const account = this.#byLogin.get(login);
    if (account !== undefined) {
      // It may have connections that are about to close.
      Object.assign(account.traffic, new Traffic());
      this.release(account);
    }
    this.#recent.take(login);
  }

  #make(login: string, traffic: Traffic | undefined): UserAccount {
    const { ledger, limitRules } = this.#options;
    return new UserAccount(login, ledger, limitRules.of(login, NO_GROUPS), traffic);
  }

  /** Of those whom the store remembers, who has nothing else here. */
  releaseIdle(): void {
    for (const account of this.#byLogin.values()) this.release(account);
  }

  /**
   * What the credential backend says of a user's groups. The store keeps it: what absent clients may read is asked again
   * when the broker starts, and then no backend has said anything. False when it is known already.
   */
  setGroups(account: UserAccount, groups: readonly string[]): boolean {
    const sorted = [...groups].sort();
    if (sorted.join('\0') === account.groups.join('\0')) return false;
    account.groups = sorted.length === 0 ? NO_GROUPS : sorted;
    this.#limit(account);
    this.#remember(account.login);
    return true;
  }

  /**
   * What an operator decides about the limits of a user, or of a group (`groupSubject`), from now on and over restarts;
   * null takes it back.
   */
  setOverride(subject: string, override: LimitOverride | null): void {
    this.#options.limitRules.setOverride(subject, override);
    this.#limitSubject(subject);
    this.#remember(subject);
  }

  /** Another configuration of the limits. */
  useLimits(config: LimitRulesConfig): void {
    this.#options.limitRules.use(config);
    for (const account of this.#byLogin.values()) this.#limit(account);
  }

  /** Ends the decisions whose time is over, and forgets those whose rates are what they would be anew. */
  tick(): void {
    // A list of its own: who owes still is back among them, and would be met again and again.
    const owing = [...this.#owing];
    this.#owing.clear();
    for (const account of owing) this.release(account);
    this.#recent.tick();
    const { limitRules, clock, log } = this.#options;
    for (const [subject, { until, reason }] of limitRules.overrides()) {
      if (until === null || until > clock.epochMs()) continue;
      this.setOverride(subject, null);
      if (isGroupSubject(subject)) log.info({ group: subject.slice(1), reason }, 'a group has the usual limits again');
      else log.info({ login: subject, reason }, 'the limits of a user are the usual ones again');
    }
  }

  /** What the store has of a user, or of a group. */
  restore(subject: string, { groups, override }: UserRecord): void {
    if (override !== undefined) {
      this.#options.limitRules.setOverride(subject, override);
      this.#limitSubject(subject);
    }
    if (groups.length === 0) return;
    const account = this.open(subject);
    account.groups = groups;
    this.#limit(account);
  }

  /** In the store: what cannot be found out again. */
  #remember(subject: string): void {
    const { store, limitRules } = this.#options;
    const groups = this.#byLogin.get(subject)?.groups ?? NO_GROUPS;
    const override = limitRules.overrideOf(subject);
    if (groups.length === 0 && override === null) store.deleteUser(subject);
    else store.putUser(subject, { groups, ...(override !== null && { override }) });
  }

  /** Who is in the group is asked of nobody: whoever is not has the limits of before. */
  #limitSubject(subject: string): void {
    const account = this.#byLogin.get(subject);
    if (account !== undefined) this.#limit(account);
    else if (isGroupSubject(subject)) for (const each of this.#byLogin.values()) this.#limit(each);
  }

  #limit(account: UserAccount): void {
    const limits = this.#options.limitRules.of(account.login, account.groups);
    const { burstMs } = limits;
    account.limits = limits;
    account.memoryLimit = limits.memoryPerUser;
    const coming = { messagesPerSecond: limits.messagesInPerSecond, bytesPerSecond: limits.bytesInPerSecond, burstMs };
    const going = { messagesPerSecond: limits.messagesOutPerSecond, bytesPerSecond: limits.bytesOutPerSecond, burstMs };
    account.incoming = this.#pace(account, 'in', account.incoming, coming);
    account.outgoing = this.#pace(account, 'out', account.outgoing, going);
  }

  /** Null where nothing is limited: then nothing is counted either. Who waits for one that is taken away goes on. */
  #pace(account: UserAccount, direction: 'in' | 'out', former: Pace | null, rate: Rate): Pace | null {
    former?.configure(rate);
    if (rate.messagesPerSecond === 0 && rate.bytesPerSecond === 0) return null;
    const { scheduler, clock, log, noisyLog, counters } = this.#options;
    const { login } = account;
    const pump = direction === 'in' ? null : () => account.pump();
    const onWaited = (ms: number) => {
      if (direction === 'in') counters.publishesDelayedMs += ms;
    };
    const onClosed = (wanting: 'messages' | 'bytes') => {
      counters.limitHits.add(`${wanting}${direction === 'in' ? 'In' : 'Out'}PerSecond`);
      noisyLog
        .user(login)
        .line(`slowed:${direction}`, (suppressed) =>
          log.info(
            { login, direction, ...rate, ...(suppressed > 0 ? { suppressed } : {}) },
            'slowed: the user sends or receives as much as the limit allows',
          ),
        );
    };
    return former ?? new Pace({ owner: account, scheduler, clock, pump, onClosed, onWaited }, rate);
  }
}
