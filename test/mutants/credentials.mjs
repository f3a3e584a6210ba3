/** Changes to who is let in, and who is asked when. The fields are told in session.mjs. */
const guard = ['test/credentials/guard.test.ts', 'test/credentials/guard-outage.test.ts'];
const throttle = ['test/credentials/guard-throttle.test.ts'];
const fairQueue = ['test/credentials/fair-queue.test.ts'];
const filter = ['test/credentials/ldap-filter.test.ts'];
const pool = ['test/credentials/ldap-pool.test.ts'];
const usersFile = ['test/credentials/users-file.test.ts', 'test/cli/user.test.ts'];

export const mutants = [
  {
    name: 'an accepted password is believed for ever',
    file: 'src/credentials/accepted-cache.ts',
    find: 'entry.atMs < this.#config.ttlMs ? entry : undefined;',
    replace: 'entry.atMs < Number.POSITIVE_INFINITY ? entry : undefined;',
    tests: guard,
  },
  {
    name: 'what is remembered is told apart by the letters of login and password alone',
    file: 'src/credentials/verdicts.ts',
    find: '.update(length).update(login)',
    replace: '.update(login)',
    tests: guard,
  },
  {
    name: 'a login that was revoked is still believed',
    file: 'src/credentials/verdicts.ts',
    find: `  revoke(login: string): void {
    this.#accepted.dropLogin(login);`,
    replace: '  revoke(login: string): void {',
    tests: guard,
  },
  {
    name: 'a login that is revoked while it is asked about is let in',
    file: 'src/credentials/verdicts.ts',
    find: 'if (!revoked && backend === this.#backend) return this.#learn(key, verdict, flight);',
    replace: 'if (backend === this.#backend) return this.#learn(key, verdict, flight);',
    tests: guard,
  },
  {
    name: 'a password that was refused gets in during an outage',
    file: 'src/credentials/verdicts.ts',
    find: 'this.#accepted.drop(key);',
    replace: '',
    tests: guard,
  },
  {
    name: 'who is found revoked gets in during an outage',
    file: 'src/credentials/guard.ts',
    find: `verdicts.forget(login);
      return 'revoked';`,
    replace: "return 'revoked';",
    tests: guard,
  },
  {
    name: 'an outage looks like a wrong password',
    file: 'src/credentials/guard.ts',
    find: `throttle.settled(network, login, key, 'unknown');
      return unavailable(heard.fault);`,
    replace: `throttle.settled(network, login, key, 'unknown');
      return { kind: 'refused', reason: 'wrong-password' };`,
    tests: guard,
  },
  {
    name: 'a long row before the backend is reported as its outage',
    file: 'src/credentials/questions.ts',
    find: 'return askedAtMs !== null && askedAtMs <= sinceMs ? this.#timedOut() : busyFault();',
    replace: 'return this.#timedOut();',
    tests: ['test/credentials/guard-flood.test.ts'],
  },
  {
    name: 'a guess that was wrong does not count',
    file: 'src/credentials/throttle.ts',
    find: 'touch(guesses.wrong, key, this.#clock.monotonicMs(), this.#maxFailures + mostRemembered);',
    replace: '',
    tests: throttle,
  },
  {
    name: 'guesses count for ever',
    file: 'src/credentials/throttle.ts',
    find: 'if (atMs <= oldMs) guesses.wrong.delete(key);',
    replace: 'if (atMs < 0) guesses.wrong.delete(key);',
    tests: throttle,
  },
  {
    name: 'guesses are counted by a clock that can be set',
    file: 'src/credentials/throttle.ts',
    find: 'const oldMs = this.#clock.monotonicMs() - this.#windowMs;',
    replace: 'const oldMs = this.#clock.epochMs() - this.#windowMs;',
    tests: throttle,
  },
  {
    name: 'a wrong password that is repeated makes its address suspect',
    file: 'src/credentials/throttle.ts',
    find: 'if (!guesses.wrong.has(key)) this.#countFailure(network);',
    replace: 'this.#countFailure(network);',
    tests: throttle,
  },
  {
    name: 'an address that guesses shuts out whoever was let in from there',
    file: 'src/credentials/throttle.ts',
    find: 'const cautious = suspected && this.#proven.get(pair(network, login)) === undefined;',
    replace: 'const cautious = suspected;',
    tests: throttle,
  },
  {
    name: 'guesses that are being asked about do not count',
    file: 'src/credentials/throttle.ts',
    find: 'guesses.wrong.size + guesses.pending.size >= allowance',
    replace: 'guesses.wrong.size >= allowance',
    tests: throttle,
  },
  {
    name: 'the fair queue has no width',
    file: 'src/credentials/fair-queue.ts',
    find: 'while (this.#running < this.#width) {',
    replace: 'for (;;) {',
    tests: fairQueue,
  },
  {
    name: 'a network has all of the fair queue',
    file: 'src/credentials/fair-queue.ts',
    find: 'if (running >= this.#widthOf(network.name)) continue;',
    replace: '',
    tests: fairQueue,
  },
  {
    name: 'networks do not take turns',
    file: 'src/credentials/fair-queue.ts',
    find: `band.turns.delete(network);
      if (network.ready.size > 0) band.turns.add(network);`,
    replace: 'if (network.ready.size === 0) band.turns.delete(network);',
    tests: fairQueue,
  },
  {
    name: 'a connection to the directory lives for ever',
    file: 'src/credentials/ldap-pool.ts',
    find: ' && now - openedAtMs < lifeMs',
    replace: ' && openedAtMs < Number.POSITIVE_INFINITY',
    tests: pool,
  },
  {
    name: 'a connection to the directory stays open for as long as nobody needs it',
    file: 'src/credentials/ldap-pool.ts',
    find: ' && now - idleSinceMs < idleMs',
    replace: ' && idleSinceMs < Number.POSITIVE_INFINITY',
    tests: pool,
  },
  {
    name: 'a login is text of a DN',
    file: 'src/credentials/ldap-filter.ts',
    find: `return Array.from(Buffer.from(value), (byte) => {`,
    replace: `if (value.length > 0) return value;\n  return Array.from(Buffer.from(value), (byte) => {`,
    tests: filter,
  },
  {
    name: 'a login does not enter what is negated',
    file: 'src/credentials/ldap-filter.ts',
    find: "return { kind: 'not', filter: filterFor(filter.filter, login, dn) };",
    replace: 'return filter;',
    tests: filter,
  },
  {
    name: 'a login enters a filter as a replacement pattern',
    file: 'src/credentials/ldap-filter.ts',
    find: "value.replaceAll(/%[ud]/g, (it) => (it === '%u' ? login : (dn ?? it)));",
    replace: "value.replaceAll('%u', login).replaceAll('%d', () => dn ?? '%d');",
    tests: filter,
  },
  {
    name: 'two may edit the users file at once',
    file: 'src/credentials/users-lock.ts',
    find: "open(lock, 'wx', 0o600)",
    replace: "open(lock, 'w', 0o600)",
    tests: usersFile,
  },
  {
    name: 'whether a login is there is asked before the others are shut out',
    file: 'src/cli/user.ts',
    find: `assertFits(file.mentions(login));
    return`,
    replace: 'return',
    tests: usersFile,
  },
  {
    name: 'a lock that could not be written stays',
    file: 'src/credentials/users-lock.ts',
    find: `    await unlink(lock).catch(() => {});
    throw error;`,
    replace: '    throw error;',
    tests: usersFile,
  },
  {
    name: 'the lock of a command that died stays',
    file: 'src/credentials/users-lock.ts',
    find: "return (error as NodeJS.ErrnoException).code === 'ESRCH';",
    replace: 'return false;',
    tests: usersFile,
  },
  {
    name: 'a network has one connection more than allowed',
    file: 'src/listener/admission.ts',
    find: 'if (count >= this.#limits.connectionsPerAddress + spare) return false;',
    replace: 'if (count > this.#limits.connectionsPerAddress + spare) return false;',
    tests: ['test/listener/admission.test.ts'],
  },
  {
    name: 'a network whose connections have all gone is remembered',
    file: 'src/listener/admission.ts',
    find: 'else this.#connections.delete(network);',
    replace: 'else this.#connections.set(network, 0);',
    tests: ['test/listener/admission.test.ts'],
  },
  {
    name: 'a network keeps the places of connections that have gone',
    file: 'src/listener/admission.ts',
    find: 'if (count > 1) this.#connections.set(network, count - 1);',
    replace: 'if (count > 1) return;',
    tests: ['test/listener/admission.test.ts'],
  },
];
