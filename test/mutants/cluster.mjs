/** Changes to whom HAProxy takes for dead, and to what it is told. The fields are told in session.mjs. */
export const mutants = [
  {
    name: 'HAProxy takes a broker for dead that says nothing for most of a second',
    file: 'src/cluster/haproxy-config.ts',
    find: 'const ANSWER_MS = 800;',
    replace: 'const ANSWER_MS = 200;',
    tests: ['test/cluster/failover.test.ts'],
  },
  {
    name: 'a broker that is full does not say that it is at work',
    file: 'src/listener/proxy-tls-door.ts',
    find: 'if (reception.enter(raw, CHECKS)) firstBytes(it);',
    replace: 'if (reception.enter(raw)) firstBytes(it);',
    tests: ['test/listener/proxy-tls.test.ts'],
  },
  {
    name: 'a proxy brings in more clients than there may be',
    file: 'src/listener/proxy-tls-door.ts',
    find: 'if (!reception.fits(it.raw)) return;',
    replace: '',
    tests: ['test/listener/proxy-tls.test.ts'],
  },
  {
    name: 'who shows no certificate takes the places of the proxies',
    file: 'src/listener/proxy-tls-door.ts',
    find: 'if (!unproven.fits(networkOf(it.address))) return void refuse(it, tooManyUnproven);',
    replace: '',
    tests: ['test/listener/proxy-tls.test.ts'],
  },
];
