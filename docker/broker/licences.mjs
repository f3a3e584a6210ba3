// Writes the licences of the packages in node_modules, with their texts: what whoever passes the image on has to pass on
// too. Run as the image is built, before the texts are cleared away: node licences.mjs FOLDER > FILE
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Every package below `folder/node_modules`, nested ones too. */
function* packagesIn(folder) {
  const modules = join(folder, 'node_modules');
  if (!statSync(modules, { throwIfNoEntry: false })?.isDirectory()) return;
  for (const name of readdirSync(modules).sort()) {
    if (name.startsWith('.')) continue;
    const scoped = name.startsWith('@') ? readdirSync(join(modules, name)).map((inner) => join(name, inner)) : [name];
    for (const own of scoped) {
      yield join(modules, own);
      yield* packagesIn(join(modules, own));
    }
  }
}

/** Small packages have their licence at the end of their README. */
function fromReadme(folder) {
  const file = readdirSync(folder).find((name) => /^readme/i.test(name));
  const [, section] =
    /^#+ *licen[cs]e\b[^\n]*\n([\s\S]*)/im.exec(file ? readFileSync(join(folder, file), 'utf8') : '') ?? [];
  return section?.trim() ?? '(the package has no text)';
}

const isText = (file) => /^(licen[cs]e|copying|notice)/i.test(file);
const seen = new Set();
for (const folder of packagesIn(process.argv[2] ?? '.')) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const title = `${name} ${version}`;
  if (seen.has(title)) continue;
  seen.add(title);
  const texts = readdirSync(folder)
    .filter(isText)
    .filter((file) => statSync(join(folder, file)).isFile())
    .map((file) => readFileSync(join(folder, file), 'utf8').trim());
  const words = texts.length > 0 ? texts.join('\n\n') : fromReadme(folder);
  process.stdout.write(`${'='.repeat(78)}\n${title}: ${license ?? 'see the text'}\n\n${words}\n\n`);
}
