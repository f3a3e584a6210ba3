import type { Acl, UserAcl } from '../acl/acl.js';
import { denialText } from '../acl/hint.js';
import type { Rulebook } from '../acl/rulebook.js';
import { type Job, perform } from '../fairness/job.js';
import type { Scheduler } from '../fairness/scheduler.js';
import { grantedQos } from '../mqtt/grant.js';
import type { History } from '../observe/history.js';
import { rulesChanged } from '../observe/in-words.js';
import type { Log } from '../observe/log.js';
import type { Router } from '../routing/router.js';
import type { Accounts } from './accounts.js';
import type { Gate } from './gate.js';
import type { Session } from './session.js';
import type { Sessions } from './sessions.js';
import type { UserAccount } from './user-account.js';

/** Subscriptions that are asked about, or end, in one step. */
const FILTERS_PER_STEP = 16;
/** Filters that a line names. */
const FILTERS_NAMED = 10;

export interface RuleChangesOptions {
  readonly rules: Rulebook;
  readonly accounts: Accounts;
  readonly sessions: Pick<Sessions, 'values' | 'unsubscribe'>;
  readonly router: Pick<Router, 'forgetRoutes'>;
  readonly gate: Gate;
  readonly scheduler: Scheduler;
  readonly history: History;
  readonly log: Log;
}

/** What came of other rules. */
export interface RuleChange {
  /** Users whose rules are others now. */
  users: number;
  /** Their subscriptions that ended. */
  subscriptions: number;
  /** Messages that waited for them, and that they may not be given any more. */
  messages: number;
}

/**
 * The rules are others, for all or for one user. Decisions that somebody remembers are forgotten at once, so nothing is
 * delivered by the old ones from here on; the subscriptions and queued messages that the new ones deny go in the user's
 * own turns. Who may do what he could before notices nothing.
 */
export class RuleChanges {
  readonly #options: RuleChangesOptions;

  constructor(options: RuleChangesOptions) {
    this.#options = options;
  }

  /** Resolves when nothing is left that the new rules deny. */
  async use(acl: Acl): Promise<RuleChange> {
    const { rules, accounts } = this.#options;
    const before = [...accounts.values()].map((account) => [account, rules.of(account.login).grants] as const);
    rules.use(acl);
    const changed = before.filter(([account, grants]) => rules.of(account.login).grants !== grants);
    return await this.#recheck(changed.map(([account]) => account));
  }

  /** What would come of these rules. Nothing changes. */
  async preview(acl: Acl): Promise<RuleChange> {
    const { rules, accounts } = this.#options;
    const changed = new Map<UserAccount, UserAcl>();
    for (const account of accounts.values()) {
      const other = acl.forLogin(account.login, account.groups);
      if (other.grants !== rules.of(account.login).grants) changed.set(account, other);
    }
    return await this.#inTurns([...changed.keys()], (account, sessions, change, done) =>
      countDenied(sessions, changed.get(account)!, change, done),
    );
  }

  /** What the credential backend says of the groups of a user. */
  setGroups(account: UserAccount, groups: readonly string[]): void {
    const { rules, accounts, log } = this.#options;
    const { login } = account;
    const before = rules.of(login).grants;
    if (!accounts.setGroups(account, groups)) return;
    if (rules.of(login).grants === before) return;
    log.info({ login, groups }, 'the groups of a user changed, and with them the access rules');
    void this.#recheck([account]);
  }

  async #recheck(accounts: readonly UserAccount[]): Promise<RuleChange> {
    if (accounts.length > 0) this.#options.router.forgetRoutes();
    return await this.#inTurns(accounts, (account, sessions, change, done) => {
      account.topics.clear();
      return this.#endDenied(sessions, change, done);
    });
  }

  /** Does something about the sessions of each of these users, when it is the user's turn. */
  async #inTurns(
    accounts: readonly UserAccount[],
    work: (account: UserAccount, sessions: readonly Session[], change: RuleChange, done: () => void) => Job,
  ): Promise<RuleChange> {
    const change: RuleChange = { users: accounts.length, subscriptions: 0, messages: 0 };
    if (accounts.length === 0) return change;
    const sessionsOf = new Map<UserAccount, Session[]>(accounts.map((account) => [account, []]));
    for (const session of this.#options.sessions.values()) sessionsOf.get(session.account)?.push(session);
    const jobs = [...sessionsOf].map(([account, sessions]) => {
      return new Promise<void>((resolve) => {
        perform(work(account, sessions, change, resolve), account, this.#options.scheduler);
      });
    });
    await Promise.all(jobs);
    return change;
  }

  *#endDenied(sessions: readonly Session[], change: RuleChange, done: () => void): Job {
    const { gate, history } = this.#options;
    let looked = 0;
    for (const session of sessions) {
      const denied: string[] = [];
      for (const [filter, grant] of session.subscriptions) {
        if (!gate.maySubscribe(session, filter, grantedQos(grant))) denied.push(filter);
        if (++looked % FILTERS_PER_STEP === 0) yield;
      }
      for (const filter of denied) {
        this.#options.sessions.unsubscribe(session, filter);
        // The client is not told, and goes on waiting: its user is.
        history.denied(session, 'subscribe', filter, 'rules-changed', () =>
          rulesChanged(denialText(session.login, filter)),
        );
        if (++looked % FILTERS_PER_STEP === 0) yield;
      }
      if (session.ended) continue;
      session.writer?.unsubscribe(denied);
      const messages = yield* session.outgoing.withhold();
      change.subscriptions += denied.length;
      change.messages += messages;
      if (denied.length > 0 || messages > 0) this.#tell(session, denied, messages);
      yield;
    }
    done();
  }

  #tell({ login, clientId }: Session, denied: readonly string[], messages: number): void {
    const filters = denied.slice(0, FILTERS_NAMED).map((filter) => filter.slice(0, 200));
    this.#options.log.warn(
      { login, client: clientId, filters, subscriptions: denied.length, messages },
      'subscriptions ended: the access rules deny them now',
    );
  }
}

function* countDenied(sessions: readonly Session[], rules: UserAcl, change: RuleChange, done: () => void): Job {
  let looked = 0;
  for (const session of sessions) {
    for (const filter of session.subscriptions.keys()) {
      if (!rules.subscribe(filter).allowed) change.subscriptions++;
      if (++looked % FILTERS_PER_STEP === 0) yield;
    }
    if (!session.ended) change.messages += yield* session.outgoing.withhold((topic) => rules.deliver(topic).allowed);
    yield;
  }
  done();
}
