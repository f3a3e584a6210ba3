import type { RefusalReason } from './backend.js';
import { maxLoginBytes } from './login.js';

const maxPasswordBytes = 1024;

/** Refuses what is not UTF-8: replacing it would make different passwords the same. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export interface PresentedCredentials {
  readonly login: string;
  readonly password: string;
  readonly passwordBytes: Buffer;
}

/** What a client presented, or why it is refused before anybody is asked. */
export function readCredentials(
  login: string | undefined,
  passwordBytes: Buffer | undefined,
  isAcceptable: (login: string) => boolean,
): PresentedCredentials | { readonly reason: RefusalReason } {
  if (login === undefined || login === '') return { reason: 'no-login' };
  // An empty password turns an LDAP bind into an anonymous one, which succeeds.
  if (passwordBytes === undefined || passwordBytes.length === 0) return { reason: 'no-password' };
  if (login.length > maxLoginBytes || Buffer.byteLength(login) > maxLoginBytes) return { reason: 'invalid-login' };
  if (login.includes('\0') || !isAcceptable(login)) return { reason: 'invalid-login' };
  if (passwordBytes.length > maxPasswordBytes || passwordBytes.includes(0)) return { reason: 'invalid-password' };
  try {
    return { login, password: utf8.decode(passwordBytes), passwordBytes };
  } catch {
    return { reason: 'invalid-password' };
  }
}
