import type { RefusalReason } from './backend.js';
import { ldapFault } from './ldap-fault.js';
import type { LdapResult } from './ldap-messages.js';

/** What the result of a user's bind says about the user: null for success. Throws where it says nothing about them. */
export function whyRefused({ code, message }: LdapResult, direct: boolean): RefusalReason | null {
  switch (code) {
    case 0:
      return null;
    case 49: // invalidCredentials; Active Directory hides the reason in its words
      return /\bdata (533|701|775)\b/u.test(message) ? 'disabled' : 'wrong-password';
    case 48: // inappropriateAuthentication: the entry has no password
      return 'wrong-password';
    case 19: // constraintViolation: too many attempts, in 389 Directory Server
      return 'disabled';
    case 32: // noSuchObject
      return 'unknown-user';
    case 53: // unwillingToPerform: of a locked account in some servers, of anything in all of them
      if (/inactivated|locked|disabled|expired/iu.test(message)) return 'disabled';
      break;
    case 34: // invalidDNSyntax
      if (direct) return 'invalid-login';
      break;
    case 10:
      throw ldapFault('E_LDAP_REFERRAL', `bind: the account is on another server, which is not asked: ${message}`);
  }
  throw ldapFault('E_LDAP_BIND', `bind: ${message} (LDAP result ${code})`);
}
