import { UsageError } from '../errors.js';

/** Longer ones are refused before anything else looks at them. */
export const maxLoginBytes = 1024;

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
