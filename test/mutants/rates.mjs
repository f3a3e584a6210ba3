/** Changes to how fast a user may send and be sent, and to the limits of one user. */
const rates = ['test/session/rates.test.ts'];
const pace = ['test/fairness/pace.test.ts'];

export const mutants = [
  {
    name: 'a message costs nothing of the rate',
    file: 'src/connection/client.ts',
    find: 'reader.toll.message(incoming, end - start);',
    replace: '',
    tests: rates,
  },
  {
    name: 'a large message is paid for when it is whole, and at once',
    file: 'src/connection/publish-toll.ts',
    find: 'if (partialBytes < LARGE_BYTES) return false;',
    replace: 'if (partialBytes >= 0) return false;',
    tests: rates,
  },
  {
    name: 'a large message is paid for twice',
    file: 'src/connection/publish-toll.ts',
    find: 'this.#prepaid += bytes;',
    replace: '',
    tests: rates,
  },
  {
    name: 'what a user is sent costs nothing of the rate',
    file: 'src/connection/client-outlet.ts',
    find: 'if (outgoing !== null) outgoing.take(1, messageBytes);',
    replace: '',
    tests: rates,
  },
  {
    name: 'QoS 0 beyond the rate is dropped',
    file: 'src/session/outgoing-queue.ts',
    find: 'qos === 0 && !outlet.slowed',
    replace: 'qos === 0',
    tests: rates,
  },
  {
    name: 'publishers do not wait for the rate of their own readers',
    file: 'src/session/reader-pace.ts',
    find: 'publication.valve = outgoing;',
    replace: '',
    tests: rates,
  },
  {
    name: 'who comes again has a rate that nothing was taken of',
    file: 'src/session/accounts.ts',
    find: 'if (incoming?.full === false || outgoing?.full === false) {',
    replace: 'if (incoming === undefined) {',
    tests: rates,
  },
  {
    name: 'those who wait for a rate go on all at once',
    file: 'src/fairness/pace.ts',
    find: 'if (this.closed) this.#waiting.push(callback);',
    replace: 'if (this.closed) super.whenOpen(callback);',
    tests: [...pace, ...rates],
  },
  {
    name: 'more is saved than the burst',
    file: 'src/fairness/bucket.ts',
    find: 'this.#level = Math.min(this.#capacity, filled);',
    replace: 'this.#level = filled;',
    tests: pace,
  },
  {
    name: 'what was overdrawn is forgotten',
    file: 'src/fairness/bucket.ts',
    find: 'this.#level -= amount;',
    replace: 'this.#level = Math.max(0, this.#level - amount);',
    tests: pace,
  },
  {
    name: 'what an operator decided ends with the broker',
    file: 'src/session/accounts.ts',
    find: 'if (override !== undefined) this.#options.limitRules.setOverride(login, override);',
    replace: '',
    tests: rates,
  },
  {
    name: 'what an operator decided never ends',
    file: 'src/session/accounts.ts',
    find: 'if (until === null || until > clock.epochMs()) continue;',
    replace: 'if (until !== null || until === null) continue;',
    tests: rates,
  },
  {
    name: 'the last row of limits that is for a user counts',
    file: 'src/session/user-limits.ts',
    find: '.map(({ limits }) => limits);',
    replace: '.map(({ limits }) => limits).reverse();',
    tests: rates,
  },
];
