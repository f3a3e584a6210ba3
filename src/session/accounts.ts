import type { Ledger } from '../fairness/ledger.js';
import type { Store, UserRecord } from '../store/contract.js';
import { NO_GROUPS, UserAccount } from './user-account.js';

export interface AccountsOptions {
  readonly ledger: Ledger;
  readonly store: Pick<Store, 'putUser' | 'deleteUser'>;
}

/** The accounts of the users who have something here: a connection, a session, a retained message. */
export class Accounts {
  readonly #options: AccountsOptions;
  readonly #byLogin = new Map<string, UserAccount>();

  constructor(options: AccountsOptions) {
    this.#options = options;
  }

  values(): Iterable<UserAccount> {
    return this.#byLogin.values();
  }

  /** Undefined for who has nothing here. */
  known(login: string): UserAccount | undefined {
    return this.#byLogin.get(login);
  }

  open(login: string): UserAccount {
    let account = this.#byLogin.get(login);
    if (account === undefined) {
      account = this.#options.ledger.open(new UserAccount(login, this.#options.ledger));
      this.#byLogin.set(login, account);
    }
    return account;
  }

  /** Forgets the account of a user who has nothing left here. */
  release(account: UserAccount): void {
    if (!account.idle || this.#byLogin.get(account.login) !== account) return;
    this.setGroups(account, NO_GROUPS);
    account.topics.clear();
    this.#byLogin.delete(account.login);
    this.#options.ledger.close(account);
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
    if (sorted.length === 0) this.#options.store.deleteUser(account.login);
    else this.#options.store.putUser(account.login, { groups: sorted });
    return true;
  }

  /** What the store has of a user. */
  restore(login: string, { groups }: UserRecord): void {
    this.open(login).groups = groups.length === 0 ? NO_GROUPS : groups;
  }
}
