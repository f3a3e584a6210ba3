import type { SecureContext } from 'node:tls';
import type { Clock } from '../clock.js';
import type { LdapFilter } from './ldap-filter.js';

/** One directory server. `name` is its URL, for people. */
export interface LdapServer {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly security: 'none' | 'tls' | 'starttls';
  /** Whom to trust. Made once: it costs more than a bind. */
  readonly trust: SecureContext;
}

/** How long to wait, and who may call it off. */
export interface Wait {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/** What the server said: a result code of RFC 4511, appendix A, and its words. */
export interface LdapResult {
  readonly code: number;
  readonly message: string;
}

export interface LdapEntry {
  readonly dn: string;
  /** The values of an attribute, whatever the case of its name; none: an empty list. */
  values(attribute: string): readonly string[];
}

export interface LdapQuery {
  readonly base: string;
  readonly scope: 'base' | 'sub';
  readonly filter: LdapFilter;
  readonly attributes: readonly string[];
  readonly sizeLimit: number;
}

export interface LdapAnswer extends LdapResult {
  readonly entries: readonly LdapEntry[];
}

/** An entry from its parts. A server may give the values of one attribute in several portions. */
export function entryOf(
  objectName: string,
  attributes: readonly { readonly type: string; readonly values: readonly string[] }[],
): LdapEntry {
  const map = new Map<string, string[]>();
  for (const { type, values } of attributes) {
    const name = type.toLowerCase();
    const known = map.get(name);
    if (known === undefined) map.set(name, [...values]);
    else for (const value of values) known.push(value);
  }
  // ldapjs writes the DN anew, in an escaping that Active Directory does not take; the server's own text is better.
  const dn = map.get('entrydn')?.[0] ?? map.get('distinguishedname')?.[0] ?? objectName;
  return { dn, values: (attribute) => map.get(attribute.toLowerCase()) ?? [] };
}
