import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of this package: where package.json is, whether the code runs from dist/ or from a test's build. */
export function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

/**
 * Where the defaults put certificates, users and store: the package's folder in a clone. An installed package is
 * replaced as a whole by the next install, so there it is the folder that the command is run in.
 */
export function dataFolder(): string {
  const folder = packageFolder();
  return folder.split(sep).includes('node_modules') ? process.cwd() : folder;
}

export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(join(packageFolder(), 'package.json'), 'utf8')) as { version: string };
  return version;
}
