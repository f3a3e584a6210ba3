/** Changes to who is let in. The fields are told in session.mjs. */
const guard = ['test/credentials/guard.test.ts', 'test/credentials/guard-outage.test.ts'];
const throttle = ['test/credentials/guard-throttle.test.ts'];

export const mutants = [
  {
    name: 'an accepted password is believed for ever',
    file: 'src/credentials/accepted-cache.ts',
    find: 'entry.atMs < this.#config.ttlMs ? entry : undefined;',
    replace: 'entry.atMs < Number.POSITIVE_INFINITY ? entry : undefined;',
    tests: guard,
  },
  {
    name: 'a login that was revoked is still believed',
    file: 'src/credentials/guard.ts',
    find: `  function revoke(login: string): void {
    accepted.dropLogin(login);`,
    replace: '  function revoke(login: string): void {',
    tests: guard,
  },
  {
    name: 'an outage looks like a wrong password',
    file: 'src/credentials/guard.ts',
    find: "return { kind: 'unavailable', error: heard.fault };\n    }",
    replace: "return { kind: 'refused', reason: 'unknown-user' as never };\n    }",
    tests: guard,
  },
  {
    name: 'a guess that was wrong does not count',
    file: 'src/credentials/throttle.ts',
    find: 'guesses.wrong.set(key, this.#clock.monotonicMs());',
    replace: '',
    tests: throttle,
  },
  {
    name: 'guesses count for ever',
    file: 'src/credentials/throttle.ts',
    find: 'if (atMs <= now - this.#windowMs || atMs > now) guesses.wrong.delete(key);',
    replace: '',
    tests: throttle,
  },
  {
    name: 'an address that guesses shuts out whoever was let in from there',
    file: 'src/credentials/throttle.ts',
    find: 'const cautious = suspected && !this.#isProven(address, login);',
    replace: 'const cautious = suspected;',
    tests: throttle,
  },
  {
    name: 'a login is text of a DN',
    file: 'src/credentials/ldap-filter.ts',
    find: `return Array.from(Buffer.from(value), (byte) => {`,
    replace: `if (value.length > 0) return value;\n  return Array.from(Buffer.from(value), (byte) => {`,
    tests: ['test/credentials/ldap-filter.test.ts'],
  },
];
