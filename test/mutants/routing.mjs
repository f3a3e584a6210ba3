/** Changes to who gets a message. The fields are told in session.mjs. */
const router = ['test/routing/router.test.ts'];
const publish = ['test/conformance/publish.test.ts'];

export const mutants = [
  {
    name: 'a route that is known outlives a new subscription',
    file: 'src/routing/router.ts',
    find: `this.#tree.add(plain, subscriber, granted, group, identifier);
    this.#invalidate(plain);`,
    replace: 'this.#tree.add(plain, subscriber, granted, group, identifier);',
    tests: router,
  },
  {
    name: 'a route that is known outlives a subscription that was taken away',
    file: 'src/routing/router.ts',
    find: 'if (found) this.#invalidate(plain);',
    replace: '',
    tests: publish,
  },
  {
    name: 'access rules are not asked at delivery',
    file: 'src/routing/router.ts',
    find: 'subscriber.mayReceive(this.#topic);',
    replace: 'subscriber.login.length >= 0;',
    tests: router,
  },
  {
    name: 'a shared subscription is one group for all users',
    file: 'src/routing/router.ts',
    find: '{subscriber.login}',
    replace: "{''}",
    tests: router,
  },
  {
    name: 'a shared subscription always gives to its first member',
    file: 'src/routing/share-group.ts',
    find: 'this.#next = index + 1;',
    replace: '',
    tests: router,
  },
  {
    name: 'of overlapping filters the lowest QoS counts',
    file: 'src/mqtt/grant.ts',
    find: 'return Math.max(a & 3, b & 3)',
    replace: 'return Math.min(a & 3, b & 3)',
    tests: publish,
  },
  {
    name: 'a wildcard in the first level matches $ topics',
    file: 'src/routing/subscription-tree.ts',
    find: 'const wildcards = this.#depth > 0 || !this.#reserved;',
    replace: 'const wildcards = this.#depth >= 0 || !this.#reserved;',
    tests: router,
  },
  {
    name: '# does not match its parent level',
    file: 'src/routing/subscription-tree.ts',
    find: 'if (wildcards && node.below !== null) this.#collect(node.below);',
    replace: 'if (wildcards && node.below !== null && level !== undefined) this.#collect(node.below);',
    tests: router,
  },
  {
    name: 'branches that lead nowhere any more stay',
    file: 'src/routing/subscription-tree.ts',
    find: 'for (let i = levels.length - 1; i >= 0 && path[i + 1]!.empty; i--) path[i]!.cut(levels[i]!);',
    replace: '',
    tests: ['test/routing/subscription-tree.test.ts'],
  },
];
