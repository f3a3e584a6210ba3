import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultConfig } from '../../src/config/defaults.js';
import { configFile, loadConfig, parseConfig } from '../../src/config/load.js';
import { dataFolder, packageFolder } from '../../src/config/package-folder.js';
import { configReference } from '../../src/config/reference.js';
import { UsageError } from '../../src/errors.js';
import { tempFolder } from '../support/temp-folder.js';

const example = join(packageFolder(), 'config', 'broker.example.yaml');

function problemsOf(text: string): string[] {
  try {
    parseConfig(text, '/etc/broker.yaml');
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    assert.equal(error.code, 'E_CONFIG');
    return error.message.split('\n');
  }
  return assert.fail(`accepted: ${text}`);
}

test('an empty file, a file of comments and empty sections are the defaults', () => {
  for (const text of ['', '# nothing\n', '{}', 'limits:\n', 'limits: {}\ncredentials:\n  cache:\n', '---\n']) {
    assert.deepEqual(parseConfig(text, '/etc/broker.yaml'), defaultConfig({}, '/etc'), text);
  }
});

test('the defaults are those of the documentation', () => {
  const config = defaultConfig();
  assert.equal(config.listener.port, 8883);
  assert.equal(config.listener.cert, join(packageFolder(), 'certs/server.pem'));
  assert.equal(config.credentials.file.path, join(packageFolder(), 'data/users'));
  assert.equal(config.credentials.ldap.ca, '');
  assert.deepEqual(config.acl, [{ access: 'readwrite', topic: 'iotlab/%u/#' }]);
  assert.equal(config.storage.sessionExpiryMs, 14 * 24 * 3_600_000);
  assert.equal(config.limits.queuedMessages, 1_000);
});

test('overrides of the defaults: sections merge, lists are replaced, undefined is ignored', () => {
  const config = defaultConfig({
    listener: { port: 0, host: undefined },
    acl: [{ access: 'read', topic: '#' }],
    storage: { path: 'memory' },
    credentials: { cache: { ttlMs: 0 } },
  });
  assert.deepEqual([config.listener.port, config.listener.host], [0, '::']);
  assert.deepEqual(config.acl, [{ access: 'read', topic: '#' }]);
  assert.equal(config.storage.path, 'memory');
  assert.deepEqual(config.credentials.cache, { ttlMs: 0, staleMs: 300_000, maxEntries: 10_000 });
});

test('relative paths are relative to the file, words and absolute paths stay', () => {
  const text =
    'listener: { cert: tls/a.pem, key: /keys/b }\nstorage: { path: memory }\ncredentials: { file: { path: ../users } }';
  const config = parseConfig(text, '/etc/broker/broker.yaml');
  assert.equal(config.listener.cert, '/etc/broker/tls/a.pem');
  assert.equal(config.listener.key, '/keys/b');
  assert.equal(config.storage.path, 'memory');
  assert.equal(config.credentials.file.path, '/etc/users');
  assert.equal(config.listener.ca, '/etc/broker/certs/iot-lab-ca.pem');
});

test('where certificates, users and store are does not depend on who asks, nor from where', () => {
  const paths = ({ listener, credentials, storage }: ReturnType<typeof parseConfig>) => [
    ...[listener.cert, credentials.file.path, storage.path],
  ];
  const inFolder = (folder: string) => [`${folder}/certs/server.pem`, `${folder}/data/users`, `${folder}/data/store`];
  // With a file: beside it. With the one in the clone, as without any: in the clone.
  assert.deepEqual(paths(parseConfig('', '/etc/lab/broker.yaml')), inFolder('/etc/lab'));
  const own = join(packageFolder(), 'config', 'broker.yaml');
  assert.deepEqual(paths(parseConfig('', own)), inFolder(packageFolder()));
  assert.deepEqual(paths(defaultConfig()), inFolder(packageFolder()));
  // An installed package has no place of its own.
  const installed = '/opt/lib/node_modules/iotlab-broker';
  assert.equal(dataFolder({ XDG_DATA_HOME: '/home/alice/data' }, installed), '/home/alice/data/iotlab-broker');
  const usual = join(homedir(), '.local/share/iotlab-broker');
  for (const env of [{}, { XDG_DATA_HOME: '' }, { XDG_DATA_HOME: 'relative' }]) {
    assert.equal(dataFolder(env, installed), usual);
  }
});

test('unknown keys are refused with the file, the line and the nearest known name', () => {
  const cases: [text: string, expected: RegExp][] = [
    ['listener:\n  prot: 1883', /^\/etc\/broker\.yaml:2: listener\.prot: unknown key; did you mean listener\.port\?$/],
    ['listner: {}', /:1: listner: unknown key; did you mean listener\?/],
    [
      '\nport: 8883',
      /:2: port: unknown key; did you mean listener\.port or listener\.proxy\.port or web\.port or admin\.port\?/,
    ],
    ['limits: { Connections: 5 }', /did you mean limits\.connections\?/],
    [
      'credentials:\n  ldap:\n    servicePassword: hunter2',
      /:3: .*did you mean credentials\.ldap\.servicePasswordFile\?/,
    ],
    ['anonymous: true', /:1: anonymous: unknown key; known here: listener, credentials, groups, acl/],
    ['limits: { constructor: 1, __proto__: 2 }', /limits\.constructor: unknown key/],
    [
      'acl:\n  - access: read\n    topic: a\n    user: bob',
      /:4: acl\[0\]\.user: unknown key; did you mean acl\[0\]\.users\?/,
    ],
    ['{ 1: 2 }', /:1: 1: unknown key/],
  ];
  for (const [text, expected] of cases) assert.match(problemsOf(text)[0]!, expected);
  assert.equal(problemsOf('limits: { constructor: 1, __proto__: 2 }').length, 2);
  assert.ok(!problemsOf('credentials: { ldap: { servicePassword: hunter2 } }').join().includes('hunter2'));
});

test('wrong types and ranges are named with the key, the value and what is accepted', () => {
  const cases: [text: string, expected: RegExp][] = [
    [
      'listener: { port: 70000 }',
      /^\/etc\/broker\.yaml:1: listener\.port: 70000 is not accepted: it must be a whole number from 0 to 65535$/,
    ],
    ['listener: { port: "8883" }', /listener\.port: "8883" is not accepted/],
    ['limits:\n  packetBytes: 1.5', /:2: limits\.packetBytes: 1\.5 is not accepted: it must be a size from 1KiB/],
    ['limits: { connections: }', /limits\.connections: has no value: it must be a whole number/],
    [
      'limits: { drainTimeoutMs: 60x }',
      /"60x" is not accepted: it must be a duration from 1ms to \d+ms \(such as 10s, 15m, 14d; bare: milliseconds\)$/,
    ],
    ['limits: { drainTimeoutMs: 99999999999 }', /99999999999 is not accepted/],
    ['limits: { drainTimeoutMs: 25d }', /"25d" is not accepted/],
    ['limits: { drainTimeoutMs: 0.5ms }', /"0\.5ms" is not accepted/],
    ['limits: { drainTimeoutMs: -1s }', /"-1s" is not accepted/],
    ['limits: { drainTimeoutMs: 16MiB }', /"16MiB" is not accepted/],
    [
      'limits: { packetBytes: 1MB }',
      /"1MB" is not accepted: it must be a size from 1KiB .*such as 512KiB, 16MiB; bare: bytes/,
    ],
    ['limits: { connections: 1KiB }', /"1KiB" is not accepted: it must be a whole number/],
    ['log: { level: verbose }', /log\.level: "verbose" is not accepted: it must be one of trace, debug, info/],
    ['credentials: { backend: [ldap] }', /\["ldap"\] is not accepted: it must be one of file, ldap, api/],
    ['credentials: { loginPattern: "[" }', /loginPattern: "\[" is not a regular expression/],
    ['credentials: { ldap: { startTls: "yes" } }', /"yes" is not accepted: it must be true or false/],
    ['credentials: { ldap: { urls: [http://a] } }', /"http:\/\/a" is not ldap:\/\/host\[:port\] or/],
    ['credentials: { ldap: { urls: ldap://a } }', /must be a list of/],
    ['credentials: { ldap: { urls: ["ldap://cn=a:secret@host"] } }', /has a user name or password in it/],
    ['credentials: { ldap: { bindDn: "uid=alice" } }', /has no %u where the login belongs/],
    ['listener: 8883', /listener: 8883 is not a section/],
    ['[]', /the file: \[\] is not a section/],
    ['storage: { path: "" }', /storage\.path: "" is not accepted: it must be a path or memory/],
    ['listener: { cert: "" }', /listener\.cert: "" is not accepted: it must be a path/],
    ['acl:', /:1: acl: must be a list/],
    ['acl: { topic: a }', /acl: must be a list/],
    ['acl: [{ topic: a }]', /acl\[0\]\.access: is missing/],
    ['acl: [iotlab]', /acl\[0\]: "iotlab" is not a section/],
    [
      'acl:\n  - { access: read, topic: a }\n  - { access: read, topic: a/#/b }',
      /:3: acl\[1\]\.topic: "a\/#\/b" is not a topic filter/,
    ],
    ['acl: [{ access: read, topic: iotlab/%c }]', /has a "%" that is not "%u"/],
    ['acl: [{ access: read, topic: a, users: [] }]', /acl\[0\]\.users: \[\] is an empty list, which is nobody/],
    ['acl: [{ access: read, topic: a, groups: lab }]', /acl\[0\]\.groups: "lab" is not accepted: it must be a list/],
    ['groups: [{ name: "a:b", users: [] }]', /groups\[0\]\.name: "a:b" has a ":" or "," in it/],
    ['groups: [{ name: " ", users: [] }]', /groups\[0\]\.name: " " is no name/],
    ['groups: [{ name: lab }]', /groups\[0\]\.users: is missing/],
  ];
  for (const [text, expected] of cases) assert.match(problemsOf(text)[0]!, expected, text);
});

test('durations and sizes may have a unit', () => {
  const { storage, limits, credentials } = parseConfig(
    [
      'storage: { sessionExpiryMs: 30d }',
      'limits: { packetBytes: 1 MiB, queuedBytes: "2KiB", drainTimeoutMs: 1.5s, stopTimeoutMs: 250ms, connectTimeoutMs: 700 }',
      'credentials: { revalidateMs: 2h, cache: { ttlMs: 0, staleMs: 0s } }',
    ].join('\n'),
    '/etc/broker.yaml',
  );
  assert.deepEqual([storage.sessionExpiryMs, credentials.revalidateMs], [30 * 86_400_000, 7_200_000]);
  assert.deepEqual([limits.packetBytes, limits.queuedBytes], [1_048_576, 2_048]);
  assert.deepEqual([limits.drainTimeoutMs, limits.stopTimeoutMs, limits.connectTimeoutMs], [1_500, 250, 700]);
  assert.deepEqual([credentials.cache.ttlMs, credentials.cache.staleMs], [0, 0]);
});

test('every problem is listed at once', () => {
  const problems = problemsOf('listener: { port: -1, hots: a }\nlimits: { connections: 0 }\nfoo: 1');
  assert.deepEqual(
    problems.map((line) => line.split(': ', 2).join(': ')),
    [
      '/etc/broker.yaml:1: listener.port',
      '/etc/broker.yaml:1: listener.hots',
      '/etc/broker.yaml:2: limits.connections',
      '/etc/broker.yaml:3: foo',
    ],
  );
});

test('what only shows in several keys together is refused too', () => {
  assert.match(problemsOf('credentials:\n  backend: api')[0]!, /:1: credentials\.api\.url: is needed/);
  assert.match(
    problemsOf('\ncredentials:\n  backend: ldap\n  ldap:\n    startTls: true')[0]!,
    /:5: credentials\.ldap\.startTls/,
  );
  assert.match(problemsOf('credentials: { backend: ldap, ldap: { urls: [] } }')[0]!, /names no server/);
  assert.match(
    problemsOf('credentials: { backend: ldap, ldap: { serviceDn: cn=a } }')[0]!,
    /needs servicePasswordFile/,
  );
  assert.match(problemsOf('limits: { queuedBytes: 999999999999 }')[0]!, /more than limits\.queuedBytesPerUser/);
  assert.match(
    problemsOf('groups:\n  - { name: Lab, users: [] }\n  - { name: lab, users: [] }')[0]!,
    /:3: groups\[1\]\.name: "lab" is groups\[0\] already/,
  );
  assert.match(
    problemsOf('acl: [{ access: read, topic: a, users: [Bob] }]')[0]!,
    /acl\[0\]\.users: "Bob" does not match credentials\.loginPattern/,
  );
  const ldap = (more: string) => `credentials: { backend: ldap, ldap: { ${more} } }`;
  assert.match(problemsOf(ldap('groupsFilter: (memberUid=%u)'))[0]!, /groupsFilter: needs groupsBase/);
  assert.match(problemsOf(ldap('groupsBase: dc=a'))[0]!, /groupsBase: needs groupsFilter or groupsAttribute/);
  // Where the backend may know of more groups, nobody can tell; where it cannot, a misspelt one is nobody.
  const misspelt = 'groups: [{ name: teachers, users: [] }]\nacl: [{ access: read, topic: a, groups: [techers] }]';
  parseConfig(misspelt, '/etc/broker.yaml');
  parseConfig(`${ldap('groupsAttribute: memberOf')}\n${misspelt}`, '/etc/broker.yaml');
  assert.match(
    problemsOf(`${ldap('')}\n${misspelt}`)[0]!,
    /:3: acl\[0\]\.groups: "techers" .* did you mean teachers\?/,
  );
});

test('a rule that reaches into the trees of others without saying so is refused, and told how to', () => {
  const own = '  - { access: readwrite, topic: iotlab/%u/# }';
  const rules = (topic: string) => `acl:\n${own}\n  - { access: read, topic: "${topic}", groups: [lab] }`;
  for (const topic of ['#', '+/#', '+/alice/#']) {
    assert.match(
      problemsOf(rules(topic))[0]!,
      /:3: acl\[1\]\.topic: .* trees of all users .* or write "iotlab\/\+\/#"/,
    );
  }
  for (const topic of ['iotlab/#', 'iotlab/+/#', 'iotlab/alice/#', 'localisation/#', '+']) {
    parseConfig(rules(topic), '/etc/broker.yaml');
  }
  const personal = 'acl:\n  - { access: readwrite, topic: "%u/#" }\n  - { access: readwrite, topic: "iotlab/%u/#" }';
  assert.match(problemsOf(personal)[0]!, /:2: acl\[0\]\.topic: .* trees of all users .* for the login "iotlab"/);
  const named =
    'acl:\n  - { access: readwrite, topic: iotlab/alice/#, users: [alice] }\n  - { access: read, topic: "#" }';
  assert.match(problemsOf(named)[0]!, /:3: acl\[1\]\.topic: .* tree of alice .* or write "iotlab\/alice\/#"/);
  // Without trees there is nothing to reach into.
  parseConfig('acl: [{ access: read, topic: "#" }]', '/etc/broker.yaml');
});

test('broken YAML is refused with its line', () => {
  assert.match(problemsOf('listener:\n  port: [1\n')[0]!, /^\/etc\/broker\.yaml:\d: /);
  assert.match(problemsOf('log: {}\nlog: {}')[0]!, /:2: .*unique/);
  assert.match(problemsOf('log:\n\t- a')[0]!, /:2: /);
});

test('aliases are followed', () => {
  const config = parseConfig('limits: { handshakeTimeoutMs: &ms 5000, connectTimeoutMs: *ms }', '/a.yaml');
  assert.equal(config.limits.connectTimeoutMs, 5_000);
});

test('where the configuration comes from: the argument, the environment, the package, the defaults', async (t) => {
  const folder = await tempFolder(t);
  const one = join(folder, 'one.yaml');
  const two = join(folder, 'two.yaml');
  await writeFile(one, 'listener: { port: 1 }');
  await writeFile(two, 'listener: { port: 2 }');
  const env = { IOTLAB_BROKER_CONFIG: two };
  assert.equal((await loadConfig(one, env)).listener.port, 1);
  assert.equal((await loadConfig(undefined, env)).listener.port, 2);
  assert.equal(configFile(undefined, { IOTLAB_BROKER_CONFIG: '' }), configFile(undefined, {}));
  const missing = join(folder, 'three.yaml');
  await assert.rejects(loadConfig(missing, env), (error: Error) => {
    assert.ok(error instanceof UsageError);
    assert.equal(error.message, `cannot read the configuration ${missing} (from --config): there is no such file`);
    return true;
  });
  await assert.rejects(
    loadConfig(undefined, { IOTLAB_BROKER_CONFIG: folder }),
    /\(from IOTLAB_BROKER_CONFIG\): it is a folder/,
  );
});

test('config/broker.example.yaml is the reference and says what the defaults say', async () => {
  const text = await readFile(example, 'utf8');
  assert.equal(
    text,
    configReference(),
    'write it anew: node dist/main.js config reference > config/broker.example.yaml',
  );
  assert.deepEqual(parseConfig(text, example), defaultConfig());
  // Wherever it is copied to, it says what is so without it.
  assert.deepEqual(parseConfig(text, '/srv/lab/x.yaml'), parseConfig('', '/srv/lab/x.yaml'));
  assert.match(text, /^ {2}sessionExpiryMs: 14d$/m);
  assert.match(text, /^ {2}packetBytes: 16MiB$/m);
  assert.doesNotMatch(text, /(Ms|Bytes\w*): [1-9]\d*$/m);
});
