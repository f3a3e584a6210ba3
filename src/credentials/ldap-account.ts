import { createHash } from 'node:crypto';
import type { RefusalReason } from './backend.js';
import { ldapFault } from './ldap-fault.js';
import type { LdapEntry, LdapResult } from './ldap-messages.js';

/** What the directory tells about a user without being given the password. */
export interface LdapAccount {
  readonly dn: string;
  /** Null when the entry says no or several, and its DN doesn't tell which. */
  readonly login: string | null;
  /** All that the entry says; `login` is one of them. */
  readonly logins: readonly string[];
  readonly disabled: boolean;
  /** The entry itself, for what else is to be read in it; null when the directory doesn't show it. */
  readonly entry: LdapEntry | null;
  /** Changes whenever the entry does; empty when the directory doesn't show that. */
  readonly stamp: string;
}

/** Operational attributes that any change of an entry changes: OpenLDAP and others, all, Active Directory. */
const stampAttributes = ['entryCSN', 'modifyTimestamp', 'whenChanged'];
const statusAttributes = ['shadowExpire', 'pwdAccountLockedTime', 'nsAccountLock', 'userAccountControl'];
const dnAttributes = ['entryDN', 'distinguishedName'];
const dayMs = 24 * 60 * 60 * 1000;

export function accountAttributes(loginAttribute: string): readonly string[] {
  return [loginAttribute, ...dnAttributes, ...statusAttributes, ...stampAttributes];
}

export function toAccount(entry: LdapEntry, loginAttribute: string, nowMs: number): LdapAccount {
  const stamps = stampAttributes.flatMap((attribute) => entry.values(attribute));
  return {
    dn: entry.dn,
    entry,
    login: canonicalLogin(entry, loginAttribute),
    logins: entry.values(loginAttribute),
    disabled: isDisabled(entry, nowMs),
    stamp: stamps.length === 0 ? '' : createHash('sha256').update(stamps.join('\n')).digest('base64'),
  };
}

/**
 * Is it the account that was asked for? Compared as directories compare a uid (RFC 4518): neither case, nor width, nor
 * spaces around count.
 */
export function isAccountOf({ logins }: LdapAccount, asked: string): boolean {
  return logins.some((login) => prepared(login) === prepared(asked));
}

function prepared(login: string): string {
  return login.normalize('NFKC').toLowerCase().trim().replaceAll(/ +/gu, ' ');
}

/** One value: that. Several: the one that the entry is named by. */
function canonicalLogin(entry: LdapEntry, loginAttribute: string): string | null {
  const values = entry.values(loginAttribute);
  if (values.length === 1) return values[0]!;
  const dn = entry.dn.toLowerCase();
  const named = values.filter((value) => {
    const rdn = `${loginAttribute}=${value}`.toLowerCase();
    return dn.startsWith(`${rdn},`) || dn.startsWith(`${rdn}+`);
  });
  return named.length === 1 ? named[0]! : null;
}

function isDisabled(entry: LdapEntry, nowMs: number): boolean {
  const [expire] = entry.values('shadowExpire');
  // Days since 1970, and no longer valid from that day on; -1 and nothing: never. The testbed disables with 0.
  if (expire !== undefined && /^\d+$/u.test(expire) && Number(expire) * dayMs <= nowMs) return true;
  // Locked for good by an administrator; a lock that passes shows in the bind.
  if (entry.values('pwdAccountLockedTime')[0]?.startsWith('000001010000') === true) return true;
  if (entry.values('nsAccountLock')[0]?.toLowerCase() === 'true') return true;
  return (Number(entry.values('userAccountControl')[0] ?? 0) & 2) !== 0;
}

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
