import type { CredentialGuard } from '../credentials/guard.js';
import type { Login } from './logins.js';

/** Lets in, besides whoever knows a password, pages with a ticket. */
export function acceptTickets(
  guard: CredentialGuard,
  redeem: (login: string, password: string) => Login | null,
): CredentialGuard {
  return {
    ...guard,
    get outage() {
      return guard.outage;
    },
    async authenticate(presented) {
      const { login, password } = presented;
      const found = login === undefined || password === undefined ? null : redeem(login, password.toString('latin1'));
      if (found === null) return await guard.authenticate(presented);
      const { proof, account } = found;
      return { kind: 'accepted', login: found.login, proof, groups: account.groups, stale: false, remembered: true };
    },
  };
}
