import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { commands } from '../src/cli/command-line.js';
import { defaultConfig } from '../src/config/defaults.js';
import { parseConfig } from '../src/config/load.js';
import { packageFolder } from '../src/config/package-folder.js';
import { allPages, openPage, sectionOf, tableRows } from './support/pages.js';

// What the pages name exists: links, files, commands, options, scripts, keys, defaults, log lines.
const root = packageFolder();
const pages = allPages();
const readme = openPage('README.md');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const sourceFiles = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => `src/${file}`);
/** All code, with strings that go over several lines put together. */
const source = sourceFiles
  .map((file) => readFileSync(join(root, file), 'utf8'))
  .join('\n')
  .replaceAll(/['`] \+\n\s*['`]/g, '');

/** Made when the broker runs, or by its operator; in no clone. */
const madeLater = /^(certs\/(iot-lab-ca|server)\.|config\/broker\.yaml$|config\/production\/(tls|secrets)\b)/;

function none(what: string, offenders: readonly string[]): void {
  assert.deepEqual(offenders, [], `${what}:\n  ${offenders.join('\n  ')}`);
}

/** Of all pages: everything in code, one piece a span and a line of a block. */
const code = pages.flatMap(({ file, spans, blocks }) =>
  [...spans, ...blocks.flatMap(({ text }) => text.split('\n'))].map((piece) => ({ file, piece })),
);

test('links lead somewhere', () => {
  const broken: string[] = [];
  for (const { file, text } of pages) {
    for (const [, target = ''] of text.matchAll(/\]\(([^)]+)\)/g)) {
      if (/^\w+:/.test(target)) continue;
      const [path = '', anchor] = target.split('#', 2);
      const linked = path === '' ? file : normalize(join(dirname(file), path));
      if (!existsSync(join(root, linked))) broken.push(`${file}: ${target}`);
      else if (anchor !== undefined && !openPage(linked).anchors.has(anchor)) broken.push(`${file}: ${target}`);
    }
  }
  none('links to nothing', broken);
});

test('files that are named exist', () => {
  const folders = /^(src|test|bench|config|docker|docs|scripts|certs|\.ci)\/[\w./-]*\w\/?$/;
  const missing = code.flatMap(({ file, piece }) =>
    piece
      .split(/[\s,;:()"'|]+/)
      .filter((word) => folders.test(word) && !madeLater.test(word) && !existsSync(join(root, word)))
      .map((word) => `${file}: ${word}`),
  );
  none('files that do not exist', missing);
  const inDiagrams = readme.blocks.flatMap(({ text }) => text.match(/[\w/-]+\.ts\b/g) ?? []);
  assert.ok(inDiagrams.length > 15);
  none(
    'files that src does not have',
    inDiagrams.filter((name) => !sourceFiles.some((file) => file.endsWith(`/${name}`))),
  );
});

test('the Docker section has no command that docs/docker.md, and so npm run test:docker, does not have', () => {
  const commandsOf = (text: string) =>
    [...text.matchAll(/^ *```sh\n(.*?)^ *```$/gms)].flatMap(([, block = '']) =>
      block.split('\n').flatMap((line) => line.replace(/ +#.*/, '').trim() || []),
    );
  const named = commandsOf(sectionOf(readme, 'Docker'));
  assert.ok(named.length > 8);
  const run = commandsOf(openPage('docs/docker.md').text);
  none(
    'commands that are not run',
    named.filter((line) => !run.includes(line)),
  );
});

test('npm scripts that are named exist', () => {
  const named = pages.flatMap(({ file, text }) =>
    [...text.matchAll(/\bnpm (?:run (?:--silent )?([\w:-]+)|(start|test)\b)/g)].map(([, run, own]) => ({
      file,
      script: run ?? own ?? '',
    })),
  );
  assert.ok(named.length > 10);
  none(
    'scripts that package.json does not have',
    named.filter(({ script }) => !(script in manifest.scripts)).map(({ file, script }) => `${file}: npm run ${script}`),
  );
});

test('commands, actions and options that are named exist', async () => {
  const wrong: string[] = [];
  let seen = 0;
  for (const { file, piece } of code) {
    const call = /(?:^|[\s/(])iotlab-broker ((?:--)?[a-z]+)( [^#]*)?/.exec(piece.replaceAll(' # ', '\n'));
    if (call === null) continue;
    const [, name = '', rest = ''] = call;
    if (name.startsWith('--')) continue;
    seen++;
    const command = await commands.get(name)?.();
    if (command === undefined) {
      wrong.push(`${file}: ${piece}: there is no command "${name}"`);
      continue;
    }
    const [action = ''] = rest.trim().split(' ');
    const words = [...action.split('|').filter((word) => /^[a-z]+$/.test(word)), ...(rest.match(/--[a-z-]+/g) ?? [])];
    for (const word of words) {
      if (word !== '--help' && !command.help.includes(word)) wrong.push(`${file}: ${piece}: ${name} has no "${word}"`);
    }
  }
  none('commands that do not exist', wrong);
  assert.ok(seen > 20);
});

/** In the README's example of a refused configuration. */
const misspelt = 'listener.prot';

/** The default of a key such as `limits.packetBytes`; undefined: there is no such key. */
function defaultOf(key: string): unknown {
  let value: unknown = defaultConfig();
  for (const part of key.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

test('configuration keys that are named exist, and YAML examples are accepted', () => {
  const keys = /^(listener|credentials|acl|storage|cluster|log|admin|limits)(\.[a-zA-Z]+)+$/;
  const unknown = code.flatMap(({ file, piece }) =>
    piece
      .split(/[\s,:()"]+/)
      .filter((word) => keys.test(word) && word !== misspelt && defaultOf(word) === undefined)
      .map((word) => `${file}: ${word}`),
  );
  none('keys that do not exist', unknown);
  const examples = pages.flatMap(({ file, blocks }) => blocks.map((block) => ({ file, ...block })));
  const yaml = examples.filter(({ language }) => language === 'yaml');
  assert.ok(yaml.length >= 4);
  for (const { file, text } of yaml) parseConfig(text, join(root, 'config', file));
});

test('defaults that are named are the defaults', () => {
  const rows = tableRows(sectionOf(readme, 'Configuration')).filter(([keys = '']) => /^`[a-z]+(\.\w+)/.test(keys));
  assert.ok(rows.length > 12);
  for (const [keys = '', defaults = ''] of rows) {
    for (const [, key = ''] of keys.matchAll(/`([\w.]+)`/g)) {
      const value = defaultOf(key);
      assert.notEqual(value, undefined, key);
      const expected = String(value).startsWith('/')
        ? key.startsWith('listener')
          ? 'certs/'
          : 'data/'
        : said(value, key);
      if (typeof value === 'object') continue;
      assert.ok(defaults.includes(expected), `${key}: the README says ${defaults}, and the default is ${expected}`);
    }
  }
});

function said(value: unknown, key: string): string {
  const number = Number(value);
  if (/bytes$|memory/i.test(key)) return number === 0 ? '0' : `${number / 2 ** 20} MiB`;
  if (!key.endsWith('Ms')) return String(value);
  const [size, unit] =
    number >= 86_400_000 ? [86_400_000, 'day'] : number >= 60_000 ? [60_000, 'minute'] : [1_000, 'second'];
  return `${number / size} ${unit}${number === size ? '' : 's'}`;
}

/** The parts of a line that are the same whatever it is about; `…` and numbers stand for what differs. */
const fixedParts = (line: string) =>
  line
    .split(/…|\d+|ADDRESS|\/srv\S*|listener\.prot: |; did you mean listener\.port\?|\(CN=\S+\)|(?<=port [^.]* of )::/)
    .map((part) => part.trim())
    .filter((part) => part.length > 3);

test('log lines that are named occur in the code', () => {
  const troubleshooting = sectionOf(readme, 'Troubleshooting');
  const life = sectionOf(readme, 'The life of a connection');
  const inTable = tableRows(troubleshooting).flatMap(([, , log = '']) => [...log.matchAll(/`([^`]+)`/g)]);
  const inDiagram = [...life.matchAll(/"([^"]+)"/g)];
  const atStart = [...troubleshooting.matchAll(/^iotlab-broker: (.*)$/gm)];
  const begun = [...sectionOf(readme, 'Five minutes to the first message').matchAll(/^\[.*?\] INFO: ([^{\n]*)/gm)];
  for (const found of [inTable, inDiagram, atStart, begun]) assert.ok(found.length >= 4);
  const lines = [...inTable, ...inDiagram, ...atStart, ...begun].flatMap(([, line = '']) => fixedParts(line));
  none(
    'log lines that no code writes',
    lines.filter((line) => !source.includes(line)),
  );
});

test('every reason for a refusal or an end is explained, and no other', () => {
  const life = sectionOf(readme, 'The life of a connection');
  const reasonsOf = (file: string, type: string) => {
    const text = readFileSync(join(root, file), 'utf8');
    const union = text.slice(text.indexOf(`export type ${type} =`)).split(';', 1)[0] ?? '';
    return [...union.matchAll(/\| '([a-z-]+)'/g)].map(([, reason = '']) => reason);
  };
  const ends = reasonsOf('src/session/close-reason.ts', 'CloseReason').filter((reason) => reason !== 'refused');
  const refusals = reasonsOf('src/credentials/backend.ts', 'RefusalReason');
  assert.ok(ends.length > 8 && refusals.length > 6);
  none('reasons that the README does not explain', [
    ...ends.filter((reason) => !life.includes(reason)),
    ...refusals.filter((it) => !readme.text.includes(`\`${it}\``)),
  ]);
  const named = [...life.matchAll(/(?<=── |, )[a-z]+(?:-[a-z]+)+(?![\w.-])/g)].map(([reason]) => reason);
  assert.ok(named.length > 6);
  none(
    'reasons that no code gives',
    named.filter((reason) => !source.includes(`'${reason}'`)),
  );
});

test('every runtime dependency has its sentence, and the benchmark its place', () => {
  const rows = tableRows(sectionOf(readme, 'Dependencies'));
  const explained = rows.filter(([, why = '']) => why !== '').map(([name = '']) => name.replaceAll('`', ''));
  assert.deepEqual(explained.sort(), Object.keys(manifest.dependencies).sort());
  assert.match(readme.text, /<!-- bench:start -->\n[\s\S]*<!-- bench:end -->/);
});
