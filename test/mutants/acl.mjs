/** Changes to what is allowed. The fields are told in session.mjs. */
const acl = ['test/acl/acl.test.ts', 'test/acl/acl.property.test.ts'];

export const mutants = [
  {
    name: "the rule's topic is a prefix of text",
    file: 'src/acl/rule.ts',
    find: '(topic.length === length || topic.charCodeAt(length) === 0x2f)',
    replace: 'topic.length >= length',
    tests: acl,
  },
  {
    name: 'the tree itself is left out of what is below it',
    file: 'src/acl/rule.ts',
    find: '(topic.length === length || topic.charCodeAt(length) === 0x2f)',
    replace: 'topic.charCodeAt(length) === 0x2f',
    tests: acl,
  },
  {
    name: 'a login may stand for every login',
    file: 'src/acl/rule.ts',
    find: "return login !== '' && !/[/+#\\0]/.test(login) && !login.startsWith('$');",
    replace: "return login !== '';",
    tests: acl,
  },
  {
    name: 'a + in a rule covers a #',
    file: 'src/acl/cover.ts',
    find: 'if (filter.charCodeAt(f) === hash) return false;',
    replace: '',
    tests: acl,
  },
  {
    name: 'a rule to read allows to write',
    file: 'src/acl/rule.ts',
    find: "write: config.access !== 'read',",
    replace: 'write: true,',
    tests: acl,
  },
  {
    name: 'a login enters a rule as a replacement pattern',
    file: 'src/acl/rule.ts',
    find: 'topic.replaceAll(placeholder, () => login)',
    replace: 'topic.replaceAll(placeholder, login)',
    tests: acl,
  },
];
