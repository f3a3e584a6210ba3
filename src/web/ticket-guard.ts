import type { CredentialGuard } from '../credentials/guard.js';
import type { Login } from './logins.js';

/** Lets in, besides whoever knows a password, pages with a ticket; what it lets in ends with the log-in. */
export function acceptTickets(
  guard: CredentialGuard,
  redeem: (login: string, password: string) => Login | 'used' | null,
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
      if (found === 'used') return { kind: 'refused', reason: 'used-ticket' };
      return {
        ...{ kind: 'accepted', login: found.login, proof: found.proof, groups: found.account.groups },
        ...{ stale: false, remembered: true },
        onAdmitted: (connection) => found.admit(connection),
      };
    },
  };
}
