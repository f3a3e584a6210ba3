import { defaultConfig } from '../../src/config/defaults.js';
import { Account } from '../../src/fairness/account.js';
import { Ledger } from '../../src/fairness/ledger.js';
import { Scheduler } from '../../src/fairness/scheduler.js';
import { UserAccount } from '../../src/session/user-account.js';

/** Of which one user may have as much as the defaults say. */
export const newLedger = (memoryPerUser = 128 * 1024 * 1024): Ledger => new Ledger({ memoryPerUser, memory: 0 });

export const userAccount = (login = 'alice', ledger = newLedger()): UserAccount =>
  ledger.open(new UserAccount(login, ledger, defaultConfig().limits));

export const networkAccount = (ledger = newLedger()): Account => ledger.open(new Account('127.0.0.1', ledger));

/** One in which nothing may fail. */
export const newScheduler = (): Scheduler =>
  new Scheduler((error) => {
    throw error;
  });
