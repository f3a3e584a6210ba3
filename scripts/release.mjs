// `npm run release`: the package and its bill of materials, in release/. Publishes nothing; CONTRIBUTING.md has the steps.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureNodeModules } from './ensure.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
ensureNodeModules(root);

function run(command, ...args) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (status === 0) return stdout;
  console.error(`${command} ${args.join(' ')} failed:\n${stdout}${stderr}`);
  process.exit(1);
}

const { name, version, repository, homepage, bugs } = JSON.parse(readFileSync('package.json', 'utf8'));
const missing = Object.entries({ repository, homepage, bugs }).filter(([, value]) => value === undefined);
const notes = [
  ...missing.map(([field]) => `package.json has no "${field}": the owner's to fill, see CONTRIBUTING.md`),
  ...(readFileSync('CHANGELOG.md', 'utf8').includes(`\n## ${version} (`)
    ? []
    : [`CHANGELOG.md has no "## ${version} (DATE)"`]),
  ...(run('git', 'status', '--porcelain') === '' ? [] : ['there are changes that are not committed']),
];

rmSync('release', { recursive: true, force: true });
mkdirSync('release');
const [packed] = JSON.parse(run('npm', 'pack', '--json', '--pack-destination', 'release'));
const bill = JSON.parse(run('npm', 'sbom', '--omit', 'dev', '--sbom-format', 'cyclonedx'));
// npm takes the name of the folder.
bill.metadata.component.name = name;
const billFile = join('release', `${name}-${version}.cdx.json`);
writeFileSync(billFile, `${JSON.stringify(bill, null, 2)}\n`);

for (const file of [join('release', packed.filename), billFile]) {
  const bytes = readFileSync(file);
  console.log(`${createHash('sha256').update(bytes).digest('hex')}  ${file}  (${Math.ceil(bytes.length / 1024)} KiB)`);
}
console.log(`${packed.files.length} files in the package, ${bill.components.length} packages in the bill of materials`);
for (const note of notes) console.log(`note: ${note}`);
