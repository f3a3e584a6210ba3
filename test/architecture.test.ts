import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { packageFolder } from '../src/config/package-folder.js';

interface Import {
  /** As written: `../errors.js`, `aedes`. */
  readonly from: string;
  readonly typeOnly: boolean;
}

const root = packageFolder();

function sources(folder: string): Map<string, string> {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  return new Map(files.sort().map((file) => [`${folder}/${file}`, readFileSync(join(root, folder, file), 'utf8')]));
}

const src = sources('src');
const tests = sources('test');

/** Static imports and re-exports, dynamic `import()`, and `import('x')` in types. Formatted code, so a regex does. */
function importsOf(text: string): Import[] {
  const code = text.replaceAll(/^\s*(\/\/|\*|\/\*).*$/gm, '');
  const found: Import[] = [];
  for (const [, type, names, from] of code.matchAll(/^(?:import|export) (type )?([^;'"]*?from )?'([^']+)';/gm)) {
    const list = /\{([^}]*)\}/.exec(names ?? '')?.[1];
    const bare = list !== undefined && /^\s*\{/.test(names ?? '');
    const each = (list ?? '')
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '');
    const typeOnly = type !== undefined || (bare && each.length > 0 && each.every((name) => name.startsWith('type ')));
    found.push({ from: from!, typeOnly });
  }
  for (const [, from] of code.matchAll(/\b(?:import|require)\(\s*'([^']+)'\s*\)/g))
    found.push({ from: from!, typeOnly: false });
  return found;
}

/** Every import of src as [file, target], a relative target being a path from the root with `.ts`. */
const edges = [...src].flatMap(([file, text]) =>
  importsOf(text).map(({ from, typeOnly }) => {
    const own = from.startsWith('.');
    const target = own ? normalize(join(dirname(file), from)).replace(/\.js$/, '.ts') : from;
    return { file, target, own, typeOnly };
  }),
);

const folderOf = (file: string) => file.split('/').slice(0, -1).join('/');
const isNode = (target: string, name: string) => target === name || target === `node:${name}`;
const isPackage = (target: string, name: string) => target === name || target.startsWith(`${name}/`);

function none(rule: string, offenders: readonly string[]): void {
  assert.deepEqual(offenders, [], `${rule}:\n  ${offenders.join('\n  ')}`);
}

function offending(test: (edge: (typeof edges)[number]) => boolean): string[] {
  return edges.filter(test).map(({ file, target }) => `${file} imports ${target}`);
}

test('the parser of imports sees every form', () => {
  const seen = importsOf(
    [
      "import { a } from './a.js';",
      "import type { B } from './b.js';",
      "import { type C, type D } from './c.js';",
      "import { type C, e } from './e.js';",
      "import f, { type G } from './f.js';",
      "import * as h from 'h';",
      "import './i.js';",
      "export { j } from './j.js';",
      "export type { K } from './k.js';",
      "import {\n  l,\n  type M,\n} from './l.js';",
      "const n = await import('./n.js');",
      "// import { o } from './o.js';",
    ].join('\n'),
  );
  const all = seen.map(({ from, typeOnly }) => `${from}${typeOnly ? ' type' : ''}`);
  assert.deepEqual(all, [
    ...[
      './a.js',
      './b.js type',
      './c.js type',
      './e.js',
      './f.js',
      'h',
      './i.js',
      './j.js',
      './k.js type',
      './l.js',
      './n.js',
    ],
  ]);
  assert.ok(edges.length > 50);
});

/** What everybody may know. */
const nouns = [
  'mqtt',
  'errors',
  'clock',
  'network',
  'shard',
  'postgres-url',
  'file-watch',
  'group-name',
  'liveness',
  'unix-socket',
  'valve',
];
/** What a stage may know beyond its own folder: the stages do not know each other. */
const stage = [...nouns, 'type config/config.ts', 'type observe/log.ts', 'observe/rate-limited.ts'];

/**
 * The parts of src/, from the top of the house down, and what each may import beside itself: other parts, one file of
 * one (`store/contract.ts`), or one file's types alone. Imports run downwards only.
 */
const parts: readonly (readonly [part: string, mayImport: readonly string[]])[] = [
  ['main', ['cli']],
  ['cli', ['testing', 'broker', 'cluster', 'listener', 'credentials', 'acl', 'store', 'observe', 'config', ...nouns]],
  [
    'testing',
    [
      ...[
        'broker',
        'broker-parts',
        'broker-seams',
        'listener',
        'connection',
        'session',
        'credentials',
        'acl',
        'store',
        'fairness',
      ],
      ...['observe', 'config', ...nouns],
    ],
  ],
  [
    'broker',
    [
      ...[
        'broker-contract',
        'broker-doors',
        'broker-counting',
        'broker-reload',
        'broker-watch',
        'broker-drain',
        'broker-parts',
        'broker-seams',
        'admin',
        'web',
        'cluster',
        'aedes',
        'listener',
        'connection',
        'session',
        'credentials',
      ],
      ...['acl', 'routing', 'store', 'fairness', 'observe', 'config', ...nouns],
    ],
  ],
  [
    'broker-contract',
    ['type admin/admin.ts', 'broker-reload', 'broker-parts', 'broker-seams', 'session', 'observe', 'config', ...nouns],
  ],
  [
    'cluster',
    ['admin', 'listener', 'type credentials/guard.ts', 'store/shard-stores.ts', 'observe', 'config', ...nouns],
  ],
  [
    'broker-doors',
    [
      ...['broker-counting', 'broker-parts', 'broker-seams', 'web', 'admin', 'listener', 'credentials'],
      ...['observe', 'config', ...nouns],
    ],
  ],
  ['web', ['admin', 'broker-parts', 'connection', 'credentials', 'session', 'fairness', 'observe', 'config', ...nouns]],
  [
    'admin',
    [
      ...['type broker-reload.ts', 'broker-parts', 'connection', 'session', 'credentials', 'acl', 'store/contract.ts'],
      ...['fairness', 'observe', 'config'],
      ...nouns,
    ],
  ],
  ['broker-reload', ['broker-parts', 'broker-seams', 'listener', 'credentials', 'acl', 'observe', 'config', ...nouns]],
  ['broker-watch', ['broker-parts', 'connection', 'credentials', 'fairness', 'observe', 'config', ...nouns]],
  ['broker-drain', ['broker-parts', 'config']],
  ['broker-counting', ['listener', 'credentials', 'store', 'observe', ...nouns]],
  [
    'broker-parts',
    [
      'acl',
      'type aedes/hub.ts',
      'connection',
      'credentials',
      'session',
      'store',
      'fairness',
      'observe',
      'config',
      ...nouns,
    ],
  ],
  ['broker-seams', ['listener', 'connection', 'session', 'credentials', 'store', 'observe', 'config', ...nouns]],
  [
    'aedes',
    ['connection', 'session', 'credentials', 'acl', 'routing', 'store/contract.ts', 'observe', 'config', ...nouns],
  ],
  ['listener', stage],
  [
    'connection',
    [...['session', 'credentials', 'acl', 'routing', 'store/contract.ts', 'fairness', 'observe', 'config'], ...nouns],
  ],
  ['session', ['acl', 'routing', 'store/contract.ts', 'fairness', 'observe', 'config', ...nouns]],
  ['credentials', stage],
  ['acl', stage],
  ['routing', stage],
  ['store', stage],
  ['fairness', stage],
  ['observe', ['config', ...nouns]],
  ['config', nouns],
  ['mqtt', ['errors', 'valve']],
  ['file-watch', ['clock', 'errors']],
  ['network', ['errors']],
  ['unix-socket', []],
  ['postgres-url', ['errors']],
  ['shard', []],
  ['liveness', []],
  ['valve', []],
  ['group-name', []],
  ['clock', []],
  ['errors', []],
];
const mayImport = new Map(parts);
/** `session` for src/session/connect.ts, `clock` for src/clock.ts. */
const partOf = (file: string) => file.split('/')[1]!.replace(/\.ts$/, '');

test('imports run downwards, and only where the table of parts says so', () => {
  none(
    'every folder and file of src/ is in the table of parts',
    [...new Set([...src.keys()].map(partOf))].filter((part) => !mayImport.has(part)),
  );
  const order = parts.map(([part]) => part);
  none(
    'the table goes downwards itself',
    parts.flatMap(([part, targets], place) =>
      targets
        .map((target) => partOf(`src/${target.replace(/^type /, '')}`))
        // Parts that are not there yet.
        .filter((target) => order.includes(target) && order.indexOf(target) <= place)
        .map((target) => `${part} imports ${target}`),
    ),
  );
  none(
    'imports that the table of parts does not allow',
    edges
      .filter(({ file, target, own, typeOnly }) => {
        const allowed = mayImport.get(partOf(file)) ?? [];
        const path = target.replace(/^src\//, '');
        const known = [partOf(file), ...allowed].includes(own ? partOf(target) : '') || allowed.includes(path);
        return own && !known && !(typeOnly && allowed.includes(`type ${path}`));
      })
      .map(({ file, target, typeOnly }) => {
        const part = partOf(file);
        return `${file} imports ${typeOnly ? 'types of ' : ''}${target}; ${part} may import: ${mayImport.get(part)?.join(', ')}`;
      }),
  );
});

test('one library, one door', () => {
  const doors: [library: string, allowed: RegExp][] = [
    ['aedes', /^src\/aedes\//],
    ['level', /^src\/store\//],
    ['pg', /^src\/(store\/postgres\/|postgres-url\.ts$)/],
    ['memory-level', /^src\/store\//],
    ['abstract-level', /^src\/store\//],
    ['aedes-persistence', /^src\/store\//],
    ['aedes-persistence-level', /^src\/store\//],
    ['mqtt-packet', /^src\/(connection|mqtt)\//],
    ['pino', /^src\/observe\/log\.ts$/],
    ['pino-pretty', /^src\/observe\/log\.ts$/],
    ['yaml', /^src\/(config\/|cli\/config\.ts$)/],
    ['@peculiar/x509', /^src\/listener\//],
  ];
  for (const [library, allowed] of doors) {
    none(
      `${library} is imported by ${allowed.source} only`,
      offending(({ file, target }) => isPackage(target, library) && !allowed.test(file)),
    );
  }
  const ldap = new Set(edges.filter(({ target }) => isPackage(target, 'ldapjs')).map(({ file }) => file));
  assert.ok(ldap.size <= 1, `ldapjs is imported by one file, not by ${[...ldap].join(', ')}`);
  none(
    'mqtt.js is for tests',
    offending(({ target }) => isPackage(target, 'mqtt')),
  );
});

test('TLS servers are made in src/listener only', () => {
  const offenders = [...src]
    .filter(([file]) => !file.startsWith('src/listener/'))
    .filter(([, text]) => /\btls\.createServer\(|\bnew tls\.Server\(|createServer[^;]*from 'node:tls'/.test(text))
    .map(([file]) => file);
  none('node:tls servers live in src/listener', offenders);
  none(
    'the module itself is known to the listener, the credential backends (clients) and by its types',
    offending(
      ({ file, target, typeOnly }) =>
        isNode(target, 'tls') && !typeOnly && !/^src\/(listener|credentials|testing|cli)\//.test(file),
    ),
  );
});

test("Node's modules are imported by their full name", () => {
  const bare = ['fs', 'net', 'tls', 'path', 'crypto', 'events', 'stream', 'http', 'util', 'os', 'process', 'buffer'];
  none(
    'node:fs, not fs',
    offending(({ target }) => bare.some((name) => target === name || target.startsWith(`${name}/`))),
  );
});

test('every import is there', () => {
  none(
    'relative imports end in .js and name a file of src',
    offending(({ target, own }) => own && !src.has(target)),
  );
});

test('no file reaches itself over imports, those of types included', () => {
  const targets = new Map([...src.keys()].map((file) => [file, new Set<string>()]));
  for (const { file, target, own } of edges) if (own) targets.get(file)?.add(target);
  const reached = new Map(
    [...src.keys()].map((from) => {
      const found = new Set<string>();
      const left = [from];
      for (let file = left.pop(); file !== undefined; file = left.pop()) {
        for (const target of targets.get(file) ?? []) {
          if (found.has(target)) continue;
          found.add(target);
          left.push(target);
        }
      }
      return [from, found] as const;
    }),
  );
  const reaches = (from: string, to: string) => reached.get(from)?.has(to) ?? false;
  const tangles = new Set<string>();
  for (const file of src.keys()) {
    const tangle = [...src.keys()].filter((other) => reaches(file, other) && reaches(other, file));
    if (tangle.length > 0) tangles.add(`${tangle.length} files: ${tangle.join(', ')}`);
  }
  none('files that reach each other, and so themselves', [...tangles]);
});

test('members are private by the language: #name', () => {
  const offenders = [...src].filter(([, text]) => /^\s*(private|protected)\s+(?!constructor\b)/m.test(text));
  none(
    'the keywords private and protected are for constructors, which have no other way',
    offenders.map(([file]) => file),
  );
});

test('files have one job: at most 300 lines, no barrels, no utils', () => {
  const lines = (text: string) => text.split('\n').length - 1;
  none(
    'at most 300 lines',
    [...src].filter(([, text]) => lines(text) > 300).map(([file, text]) => `${file} has ${lines(text)}`),
  );
  const statements = (text: string) => text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '').trim();
  const barrel = /^(export (type )?(\*|\{[^}]*\})( as \w+)? from '[^']+';\s*)+$/;
  none(
    'no barrels',
    [...src].filter(([, text]) => barrel.test(statements(text))).map(([file]) => file),
  );
  const folders = [...src.keys(), ...tests.keys()].map(folderOf);
  none(
    'no folder for what has no place',
    [...new Set(folders)].filter((folder) => /\/(utils?|helpers|common|misc|lib)$/.test(folder)),
  );
});

test('tests are named as what they test', () => {
  const specials = /^test\/(contract|conformance|bench|isolation|support|docker)\/|^test\/[^/]+$/;
  const known = new Set([...src.keys()].map(folderOf).map((folder) => folder.replace(/^src/, 'test')));
  none(
    'test/FOLDER is src/FOLDER, or contract, conformance, isolation, bench, docker, support',
    [...tests.keys()].filter((file) => !specials.test(file) && !known.has(folderOf(file))),
  );
  const skipped = /\b(test|it|describe)\.(skip|only|todo)\(|\b(skip|only|todo): true/;
  none(
    'no test is skipped, alone or to do',
    [...tests]
      .filter(([file, text]) => file !== 'test/architecture.test.ts' && skipped.test(text))
      .map(([file]) => file),
  );
});
