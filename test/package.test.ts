import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { packageFolder } from '../src/config/package-folder.js';
import { tempFolder } from './support/temp-folder.js';

const run = promisify(execFile);

test('the package has its configuration examples, and nothing of whoever packs it', { timeout: 60_000 }, async (t) => {
  const folder = await tempFolder(t);
  for (const name of ['package.json', '.gitignore', '.npmrc']) {
    await cp(join(packageFolder(), name), join(folder, name));
  }
  const belongs = [
    'src/web/pages/me.html',
    'config/broker.example.yaml',
    'config/production/README.md',
    'dist/main.js',
    'README.md',
  ];
  // Made in a clone by following the README and config/production/README.md.
  const own = [
    ...['config/broker.yaml', 'certs/iot-lab-ca.key', 'certs/server.key', 'data/users', 'data/store/000001.log'],
    ...['config/production/secrets/ldap-password', 'config/production/tls/server.key'],
  ];
  for (const file of [...belongs, ...own]) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), 'x\n');
  }
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: folder });
  const files: string[] = JSON.parse(stdout)[0].files.map(({ path }: { path: string }) => path);
  assert.deepEqual(files.sort(), [...belongs, 'package.json'].sort());

  await run('git', ['init', '--quiet'], { cwd: folder });
  const { stdout: status } = await run('git', ['status', '--porcelain', '--untracked-files=all'], { cwd: folder });
  const seen = own.filter((file) => status.includes(file));
  assert.deepEqual(seen, [], 'git would take these');
});

test('what is built anew can be run by its name: npx makes it executable once only', async (t) => {
  const folder = await tempFolder(t);
  await cp(join(packageFolder(), 'scripts'), join(folder, 'scripts'), { recursive: true });
  const compiler = join(folder, 'node_modules/typescript/bin/tsc');
  await mkdir(dirname(compiler), { recursive: true });
  const compile =
    "require('fs').mkdirSync('dist', { recursive: true }); require('fs').writeFileSync('dist/main.js', '')";
  await writeFile(compiler, compile);
  const start = "import('./scripts/ensure.mjs').then(({ build }) => build(process.cwd(), 'tsconfig.json'))";
  for (const args of [['scripts/build-package.mjs'], ['--eval', start]]) {
    await rm(join(folder, 'dist'), { recursive: true, force: true });
    await run(process.execPath, args, { cwd: folder });
    assert.equal((await stat(join(folder, 'dist/main.js'))).mode & 0o111, 0o111, args[0]);
  }
});

const text = (file: string) => readFile(join(packageFolder(), file), 'utf8');

test('what is packed is small, and has no test and no source map', { timeout: 60_000 }, async () => {
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: packageFolder() });
  const [{ size, files }] = JSON.parse(stdout) as [{ size: number; files: { path: string }[] }];
  assert.ok(size < 1_000_000, `${size} bytes`);
  const paths = files.map(({ path }) => path);
  assert.ok(paths.includes('dist/main.js') && paths.includes('dist/testing/index.d.cts'));
  const unwanted = paths.filter(
    (path) => !/^(dist|config|docs|certs|src\/web\/pages)\/|^[A-Z]+(\.md)?$|^package\.json$/.test(path),
  );
  assert.deepEqual([...unwanted, ...paths.filter((path) => /\.map$|\.test\./.test(path))], []);
});

test('the version is the same everywhere, and has its place in CHANGELOG.md', async () => {
  const { version, engines } = JSON.parse(await text('package.json'));
  const images = ['broker', 'directory', 'frontend', 'names'].map((name) => `docker/${name}/Dockerfile`);
  for (const file of images) assert.match(await text(file), new RegExp(`^ARG VERSION=${version}$`, 'm'), file);
  assert.ok((await text('config/production/compose.yaml')).includes(`IOTLAB_VERSION:-${version}}`));
  assert.match(await text('CHANGELOG.md'), new RegExp(`^## (Unreleased \\(${version}\\)|${version} \\()`, 'm'));
  assert.equal(engines.node, `>=${/OLDEST_NODE = (\d+)/.exec(await text('src/main.ts'))?.[1]}`);
});

test("the broker's image names the licences of the packages in it", async () => {
  const { packages } = JSON.parse(await text('package-lock.json')) as {
    packages: Record<string, { license?: string; dev?: boolean; devOptional?: boolean }>;
  };
  const inImage = Object.entries(packages).filter(
    ([path, { dev, devOptional }]) => path !== '' && !dev && !devOptional,
  );
  assert.ok(inImage.length > 50);
  // What says nothing in its package.json says it in its README; see docker/broker/licences.mjs.
  const licences = new Set(inImage.flatMap(([, { license }]) => license ?? []));
  const [, label = ''] = /image\.licenses="([^"]+)"/.exec(await text('docker/broker/Dockerfile')) ?? [];
  assert.deepEqual(label.split(' AND ').sort(), [...licences].sort());
});
