import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileAcl } from '../../src/acl/acl.js';
import { bracketHint, denialText } from '../../src/acl/hint.js';
import { UsageError } from '../../src/errors.js';

const standard = compileAcl([{ access: 'readwrite', topic: 'iotlab/%u/#' }]);

test('the default rule: a user publishes and gets what is in the own tree, with exact levels', () => {
  const alice = standard.forLogin('alice');
  for (const topic of [
    'iotlab/alice',
    'iotlab/alice/',
    'iotlab/alice/x/y',
    'iotlab/alice//',
    'iotlab/alice/$x',
    'iotlab/alice/bob',
  ]) {
    assert.deepEqual(alice.publish(topic), { allowed: true, rule: 'readwrite iotlab/%u/#' }, topic);
    assert.deepEqual(alice.deliver(topic), { allowed: true, rule: 'readwrite iotlab/%u/#' }, topic);
  }
  const foreign = [
    ...[
      '',
      'iotlab',
      'iotlab/',
      'iotlab/alic',
      'iotlab/alicex',
      'iotlab/alicex/y',
      'iotlab/bob',
      'iotlab//alice',
      '/iotlab/alice',
    ],
    ...[
      'Iotlab/alice',
      'iotlab/Alice',
      'iotlab/alice\0',
      'iotlab/аlice',
      'iotlab/+/x',
      'iotlab/#',
      '#',
      '$SYS',
      '$SYS/iotlab/alice',
    ],
    ...[
      '$share/g/iotlab/alice',
      'alice',
      'iotlab/%u',
      'iotlab/<alice>/x',
      'iotlab/bob/../alice',
      'constructor',
      '__proto__',
    ],
  ];
  for (const topic of foreign) {
    assert.deepEqual(alice.publish(topic), { allowed: false, rule: null }, topic);
    assert.deepEqual(alice.deliver(topic), { allowed: false, rule: null }, topic);
  }
});

test('the default rule: a filter is granted when all that it can match is', () => {
  const alice = standard.forLogin('alice');
  const granted = [
    'iotlab/alice',
    'iotlab/alice/#',
    'iotlab/alice/+',
    'iotlab/alice/+/#',
    'iotlab/alice/+/x',
    'iotlab/alice//',
    'iotlab/alice/$x/#',
  ];
  for (const filter of granted) {
    assert.equal(alice.subscribe(filter).allowed, true, filter);
    assert.equal(alice.subscribe(`$share/group/${filter}`).allowed, true, filter);
  }
  const refused = [
    ...[
      '#',
      '+',
      '+/#',
      '+/+',
      '+/x',
      '+/alice',
      '+/alice/#',
      'iotlab',
      'iotlab/#',
      'iotlab/+',
      'iotlab/+/#',
      'iotlab/+/x',
      '/#',
      '/+',
    ],
    ...[
      'iotlab/alic',
      'iotlab/alicex',
      'iotlab/alicex/#',
      'iotlab/al/#',
      'iotlab/bob',
      'iotlab/bob/#',
      '$SYS',
      '$SYS/#',
      '$SYS/+',
      '$',
    ],
    ...['iotlab//#', '/iotlab/alice/#', 'IOTLAB/alice/#', 'iotlab/%u/#', 'iotlab/<alice>/#'],
  ];
  for (const filter of refused) {
    assert.deepEqual(alice.subscribe(filter), { allowed: false, rule: null }, filter);
    assert.equal(alice.subscribe(`$share/group/${filter}`).allowed, false, `shared ${filter}`);
  }
});

test('a filter or share that is not valid is denied', () => {
  const alice = standard.forLogin('alice');
  const filters = [
    '',
    'iotlab/alice/#/x',
    'iotlab/alice/a+',
    'iotlab/alice/#x',
    'iotlab/alice/\0',
    `iotlab/alice${'/a'.repeat(200)}`,
  ];
  const shares = [
    '$share',
    '$share/',
    '$share/g',
    '$share/g/',
    '$share//iotlab/alice',
    '$share/+/iotlab/alice',
    '$share/iotlab/alice',
  ];
  const nested = [
    '$share/g/$share/g/iotlab/alice',
    '$share/g/$share/iotlab/alice',
    '$queue/iotlab/alice',
    '$Share/g/iotlab/alice',
  ];
  for (const filter of [...filters, ...shares, ...nested]) assert.equal(alice.subscribe(filter).allowed, false, filter);
});

test('decisions are constants', () => {
  const alice = standard.forLogin('alice');
  assert.equal(alice.publish('iotlab/alice/a'), alice.deliver('iotlab/alice/b'));
  assert.equal(alice.publish('a'), alice.subscribe('b'));
});

test('read rules do not grant writing, nor write rules reading', () => {
  const user = compileAcl([
    { access: 'readwrite', topic: 'iotlab/%u/#' },
    { access: 'read', topic: 'localisation/+/+' },
    { access: 'write', topic: 'drop/box' },
  ]).forLogin('alice');
  assert.deepEqual(user.subscribe('localisation/+/+'), { allowed: true, rule: 'read localisation/+/+' });
  assert.equal(user.subscribe('localisation/saclay/+').allowed, true);
  assert.equal(user.subscribe('localisation/saclay/m3-1').allowed, true);
  assert.equal(user.subscribe('localisation/#').allowed, false);
  assert.equal(user.subscribe('localisation/+/#').allowed, false);
  assert.equal(user.subscribe('localisation/+').allowed, false);
  assert.equal(user.subscribe('localisation/+/+/mobile').allowed, false);
  assert.equal(user.deliver('localisation/saclay/m3-1').allowed, true);
  assert.equal(user.publish('localisation/saclay/m3-1').allowed, false);
  assert.deepEqual(user.publish('drop/box'), { allowed: true, rule: 'write drop/box' });
  assert.equal(user.publish('drop/box/x').allowed, false);
  assert.equal(user.deliver('drop/box').allowed, false);
  assert.equal(user.subscribe('drop/box').allowed, false);
});

test('wildcards in the first level of a rule grant nothing that begins with $', () => {
  for (const topic of ['#', '+/#', '+/+', '+']) {
    const user = compileAcl([{ access: 'readwrite', topic }]).forLogin('alice');
    for (const name of ['$SYS', '$SYS/x', '$x']) assert.equal(user.publish(name).allowed, false, `${topic} ${name}`);
    for (const filter of ['$SYS', '$SYS/#', '$SYS/+', '$x', '$share/g/$SYS/#']) {
      assert.equal(user.subscribe(filter).allowed, false, `${topic} ${filter}`);
    }
  }
  const everything = compileAcl([{ access: 'read', topic: '+/#' }]).forLogin('alice');
  for (const filter of ['#', '+', '+/#', 'a', '/', '$share/g/#'])
    assert.equal(everything.subscribe(filter).allowed, true, filter);
});

test('a login that could be read as part of a filter is granted nothing by %u', () => {
  for (const own of ['iotlab/%u/#', '%u/#']) {
    const rules = compileAcl([
      { access: 'readwrite', topic: own },
      { access: 'read', topic: 'news' },
    ]);
    for (const login of ['+', '#', 'a/b', 'a+', '', 'a\0', '$SYS']) {
      const user = rules.forLogin(login);
      for (const topic of [`iotlab/${login}/x`, 'iotlab/bob/x', `${login}/x`, 'a/b', '$SYS/x']) {
        assert.equal(user.publish(topic).allowed, false, `${login} ${topic}`);
        assert.equal(user.deliver(topic).allowed, false, `${login} ${topic}`);
      }
      assert.equal(user.deliver('news').allowed, true);
    }
    const odd = rules.forLogin('$&');
    assert.equal(odd.publish('iotlab/%u/x').allowed, false);
  }
});

test('a login enters its rules as it is, also where it looks like a replacement pattern', () => {
  const rules = compileAcl([{ access: 'readwrite', topic: 'iotlab/%u/x-%u/#' }]);
  for (const login of ['a$&b', 'a$$b', "a$'", 'a$`', 'a$1', 'a%u']) {
    const user = rules.forLogin(login);
    assert.equal(user.publish(`iotlab/${login}/x-${login}/y`).allowed, true, login);
    assert.equal(user.subscribe(`iotlab/${login}/x-${login}/#`).allowed, true, login);
    for (const other of ['a%ub', 'a$b', 'a', 'a1']) {
      assert.equal(user.publish(`iotlab/${other}/x-${other}/y`).allowed, false, `${login} in the tree of ${other}`);
    }
  }
});

test('no rules: nothing is granted', () => {
  const nobody = compileAcl([]).forLogin('alice');
  assert.equal(nobody.publish('iotlab/alice').allowed, false);
  assert.equal(nobody.subscribe('iotlab/alice').allowed, false);
});

test('a rule that is not one is refused by name', () => {
  for (const topic of ['', 'a/#/b', 'a+', '$share/g/a', 'iotlab/%c/#', '100%']) {
    assert.throws(
      () => compileAcl([{ access: 'read', topic }]),
      (error: unknown) => {
        assert.ok(error instanceof UsageError);
        assert.ok(error.message.includes(JSON.stringify(topic)), error.message);
        return true;
      },
    );
  }
});

test('the hint for brackets copied from the documentation', () => {
  for (const topic of [
    'iotlab/<alice>/test',
    'iotlab/<login>/test',
    'iotlab/{login}/#',
    'iotlab/[alice]',
    '<iotlab>/alice',
  ]) {
    assert.match(bracketHint('alice', topic) ?? '', /iotlab\/alice/, topic);
  }
  for (const topic of ['iotlab/alice/test', 'iotlab/bob', '<', 'iotlab/a<b>', 'iotlab/alice/x/<y>']) {
    assert.equal(bracketHint('alice', topic), null, topic);
  }
});

test('a denial is explained to its user, in a sentence about nobody else', () => {
  const told = [
    ['iotlab/<alice>/test', /brackets included: iotlab\/alice/],
    ['/iotlab/alice/test', /does not begin with a slash: iotlab\/alice/],
    ['iotlab/Alice/test', /capitals and spaces matter: iotlab\/alice/],
    ['iotlab/alice /test', /capitals and spaces matter/],
    ['IoTLAB/alice/test', /capitals matter: iotlab\/alice/],
    ['alice/test', /iotlab\/ is missing in front: iotlab\/alice/],
    ['#', /covers what others publish too: iotlab\/alice\/#/],
    ['iotlab/#', /covers what others publish too/],
    ['$share/group/iotlab/+/x', /covers what others publish too/],
    ['$SYS/broker/uptime', /no \$SYS here/],
    ['iotlab/bob/test', /^iotlab\/bob\/test is outside of what alice may use$/],
    ['weather', /^weather is outside of what alice may use$/],
  ] as const;
  for (const [topic, sentence] of told) assert.match(denialText('alice', topic), sentence, topic);
  assert.equal(denialText('alice', 'localisation/1', true), 'you may read localisation/1, not publish there');
  assert.ok(denialText('alice', `iotlab/bob/${'x'.repeat(60_000)}`).length < 300);
});
