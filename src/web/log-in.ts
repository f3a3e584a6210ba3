import type { Caller } from '../admin/route.js';
import { Refusal } from '../admin/route.js';
import type { BrokerParts } from '../broker-parts.js';
import type { Ban } from '../credentials/bans.js';
import type { CredentialGuard } from '../credentials/guard.js';
import { networkOf } from '../network.js';
import type { Log } from '../observe/log.js';
import type { RateLimited } from '../observe/rate-limited.js';
import type { Logins } from './logins.js';

export interface LogInContext {
  readonly parts: Pick<BrokerParts, 'bans' | 'history' | 'accounts' | 'ruleChanges'>;
  readonly guard: Pick<CredentialGuard, 'authenticate'>;
  readonly logins: Logins;
  readonly log: Log;
  readonly noisyLog: RateLimited;
}

export type LogIn =
  /** The browser is to show the token from now on. */
  | { readonly kind: 'in'; readonly login: string; readonly token: string }
  | { readonly kind: 'banned'; readonly ban: Ban };

/**
 * Checks who it is, as a CONNECT does: the same guard, the same throttle, the same history of failures. Whatever is
 * wrong, the answer is the same; only who is kept out by an operator is told so, and a user not without the password.
 */
export async function logIn(
  { parts, guard, logins, log, noisyLog }: LogInContext,
  body: Readonly<Record<string, unknown>>,
  address: string,
  forMs: number,
): Promise<LogIn> {
  const { login, password } = body;
  if (typeof login !== 'string' || typeof password !== 'string') {
    throw new Refusal(400, 'bad-body', 'login and password are texts');
  }
  const note = (reason: string): void => {
    parts.history.refused(address, login, null, reason);
    noisyLog
      .network(networkOf(address))
      .line(`log-in ${reason} ${login}`, (suppressed) =>
        log.warn(
          { login: login.slice(0, 64), address, reason, ...(suppressed > 0 ? { suppressed } : {}) },
          'log-in with a browser refused',
        ),
      );
  };
  const keptOut = (ban: Ban): LogIn => {
    note('banned');
    return { kind: 'banned', ban };
  };
  const ofAddress = parts.bans.of('address', address);
  if (ofAddress !== null) return keptOut(ofAddress);
  const outcome = await guard.authenticate({ login, password: Buffer.from(password), address });
  if (outcome.kind === 'unavailable') throw new Refusal(503, outcome.reason, 'nobody can say just now; try again');
  if (outcome.kind === 'refused') {
    note(outcome.reason);
    throw new Refusal(401, 'wrong-credentials', 'login or password is wrong');
  }
  const ofLogin = parts.bans.of('login', outcome.login);
  if (ofLogin !== null) return keptOut(ofLogin);
  const token = logins.begin(outcome, forMs);
  if (token === null) throw new Refusal(503, 'memory-limit', 'you hold as much as you may (limits.memoryPerUser)');
  parts.ruleChanges.setGroups(parts.accounts.open(outcome.login), outcome.groups);
  log.info({ login: outcome.login, address }, 'logged in with a browser');
  return { kind: 'in', login: outcome.login, token };
}

export function callerOf(login: string, address: string): Caller {
  return { door: 'web', address, claims: null, login };
}
