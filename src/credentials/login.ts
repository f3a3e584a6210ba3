import { UsageError } from '../errors.js';
import type { RefusalReason } from './backend.js';

/** Longer ones are refused before anything else looks at them. */
const maxLoginBytes = 1024;
const maxPasswordBytes = 1024;

/** Refuses what is not UTF-8: replacing it would make different passwords the same. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * What no pattern can allow: the login becomes a level of `iotlab/<login>/#` and a part of scoped client ids, a key of
 * `login:hash` lines and of log lines.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are exactly what is refused
const neverAllowed = /[\u0000-\u0020\u007f-\u00a0\u2028\u2029\ufeff/+#%:$]/;

/**
 * Compiles `credentials.loginPattern` into the test of canonical logins: the whole login must match. Throws
 * `UsageError` for a pattern that is no regular expression.
 */
export function createLoginRule(pattern: string): (login: string) => boolean {
  let whole: RegExp;
  try {
    // By itself first: `a)|(b` is none, but would become one in brackets, and be anchored on one side only.
    new RegExp(pattern, 'u');
    whole = new RegExp(`^(?:${pattern})$`, 'u');
  } catch (error) {
    throw new UsageError(`credentials.loginPattern: ${JSON.stringify(pattern)} is not a regular expression`, {
      code: 'E_LOGIN_PATTERN',
      cause: error,
    });
  }
  return (login) =>
    login.length > 0 &&
    login.length <= maxLoginBytes &&
    Buffer.byteLength(login) <= maxLoginBytes &&
    !neverAllowed.test(login) &&
    whole.test(login);
}

/** Just enough to tell one from a login; whether there is such an address, the backend knows. */
export function isMailAddress(login: string): boolean {
  return login.length <= 254 && /^[^\s@]+@[^\s@]+$/u.test(login) && isPlausibleLogin(login);
}

/** Directories overlook control and invisible characters when they compare; none belongs into a login. */
export function isPlausibleLogin(login: string): boolean {
  return login !== '' && login.length <= 256 && !/[\p{C}\p{Zl}\p{Zp}]/u.test(login);
}

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
