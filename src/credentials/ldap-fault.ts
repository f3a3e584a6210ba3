import { Fault } from '../errors.js';
import { connectionError } from './connection-error.js';

/**
 * What can go wrong between the broker and a directory. None of these is ever a refusal of the user.
 *
 * - `E_LDAP_UNREACHABLE`: no connection; `E_LDAP_TLS`: no TLS, or not with whom it should be
 * - `E_LDAP_TIMEOUT`: no answer in time; `E_LDAP_CLOSED`: the connection ended before the answer
 * - `E_LDAP_PROTOCOL`: the answer makes no sense; `E_LDAP_BUSY`: the server says it can't just now
 * - `E_LDAP_SERVICE_BIND`: the service account was rejected
 * - `E_LDAP_SEARCH`, `E_LDAP_BIND`: an answer that says nothing about the user, such as a search base that isn't there
 * - `E_LDAP_REFERRAL`: the answer is to ask elsewhere, which is never done: it would hand the password to a stranger
 * - `E_LDAP_CANCELLED`: the caller gave up; `E_LDAP_STOPPED`: the backend was closed
 */
export type LdapFaultCode = `E_LDAP_${
  | 'UNREACHABLE'
  | 'TLS'
  | 'TIMEOUT'
  | 'CLOSED'
  | 'PROTOCOL'
  | 'BUSY'
  | 'SERVICE_BIND'
  | 'SEARCH'
  | 'BIND'
  | 'REFERRAL'
  | 'CANCELLED'
  | 'STOPPED'}`;

export function ldapFault(code: LdapFaultCode, message: string, cause?: unknown): Fault {
  return new Fault(code, message, cause === undefined ? {} : { cause });
}

const serverFaults: ReadonlySet<string> = new Set<LdapFaultCode>([
  'E_LDAP_UNREACHABLE',
  'E_LDAP_TLS',
  'E_LDAP_TIMEOUT',
  'E_LDAP_CLOSED',
  'E_LDAP_PROTOCOL',
  'E_LDAP_BUSY',
  'E_LDAP_SERVICE_BIND',
]);

/** Is it this server that is in trouble, so that another one may do better? */
export function isServerFault(error: unknown): error is Fault {
  return error instanceof Fault && serverFaults.has(error.code);
}

/** An error of Node's net, dns or tls as a fault. */
export function connectionFault(error: unknown, server: string): Fault {
  if (error instanceof Fault) return error;
  const { kind, text } = connectionError(error);
  const codes = { tls: 'E_LDAP_TLS', closed: 'E_LDAP_CLOSED', unreachable: 'E_LDAP_UNREACHABLE' } as const;
  return ldapFault(codes[kind], `${server}: ${text}`, error);
}
