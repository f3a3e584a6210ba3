/** Changes to who gets a message. The fields are told in session.mjs. */
const router = ['test/routing/router.test.ts'];
const publish = ['test/conformance/publish.test.ts'];

export const mutants = [
  {
    name: 'a route that is known outlives a new subscription',
    file: 'src/routing/router.ts',
    find: 'this.tree.add(plain, subscriber, granted, share === null ? null : groupKey(subscriber, share.group));\n    this.invalidate(plain);',
    replace: 'this.tree.add(plain, subscriber, granted, share === null ? null : groupKey(subscriber, share.group));',
    tests: router,
  },
  {
    name: 'a route that is known outlives a subscription that was taken away',
    file: 'src/routing/router.ts',
    find: 'if (found) this.invalidate(plain);',
    replace: '',
    tests: publish,
  },
  {
    name: 'access rules are not asked at delivery',
    file: 'src/routing/router.ts',
    find: 'if (subscriber.mayReceive(topic)) (subscriber.persistent',
    replace: 'if (topic.length > 0) (subscriber.persistent',
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
    find: 'this.next = index + 1;',
    replace: '',
    tests: router,
  },
  {
    name: 'of overlapping filters the lowest QoS counts',
    file: 'src/routing/subscription-tree.ts',
    find: 'before < granted',
    replace: 'before > granted',
    tests: publish,
  },
  {
    name: 'a wildcard in the first level matches $ topics',
    file: 'src/routing/subscription-tree.ts',
    find: 'const wildcards = depth > 0 || !reserved;',
    replace: 'const wildcards = depth >= 0 || !reserved;',
    tests: router,
  },
  {
    name: '# does not match its parent level',
    file: 'src/routing/subscription-tree.ts',
    find: 'if (node.here !== null) collect(node.here, matches);\n      if (node.below !== null) collect(node.below, matches);',
    replace: 'if (node.here !== null) collect(node.here, matches);',
    tests: router,
  },
];
