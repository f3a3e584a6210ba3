import type { Rulebook } from './acl/rulebook.js';
import type { Hub } from './aedes/hub.js';
import type { LimitsConfig } from './config/config.js';
import type { Connection } from './connection/connection.js';
import type { Bans } from './credentials/bans.js';
import type { LiveSession } from './credentials/revalidation.js';
import type { Account } from './fairness/account.js';
import type { Ledger } from './fairness/ledger.js';
import type { Networks } from './fairness/networks.js';
import type { Scheduler } from './fairness/scheduler.js';
import type { Counters } from './observe/counters.js';
import type { History } from './observe/history.js';
import type { Accounts } from './session/accounts.js';
import type { Distribution } from './session/distribution.js';
import type { RuleChanges } from './session/rule-changes.js';
import type { Sessions } from './session/sessions.js';
import type { LimitRules } from './session/user-limits.js';
import type { Wills } from './session/will.js';
import type { Store } from './store/contract.js';

/** What the parts of a running broker are, for the test harness, the metrics and the operator's view. */
export interface BrokerParts {
  /** Those in force: a reload changes them. */
  readonly limits: LimitsConfig;
  readonly hub: Hub;
  readonly connections: ReadonlySet<Connection>;
  readonly accounts: Accounts;
  readonly limitRules: LimitRules;
  readonly sessions: Sessions;
  readonly store: Store;
  readonly distribution: Distribution;
  readonly counters: Counters;
  readonly scheduler: Scheduler;
  readonly ledger: Ledger;
  readonly networks: Networks;
  readonly rules: Rulebook;
  readonly ruleChanges: RuleChanges;
  readonly wills: Wills;
  readonly history: History;
  /** Whom the operators' work and what is kept for them belong to. */
  readonly operators: Account;
  readonly bans: Bans;
}

/** Whose credentials are asked for again from time to time. */
export function* liveSessions(connections: Iterable<Connection>): Generator<LiveSession> {
  for (const connection of connections) {
    const { peer, closed } = connection;
    if (peer !== null && !closed) {
      yield { login: peer.login, proof: peer.proof, close: (reason) => connection.close(reason) };
    }
  }
}
