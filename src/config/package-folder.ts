import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of this package: where package.json is, whether the code runs from dist/ or from a test's build. */
export function packageFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
}

/**
 * Where certificates, users and store are when no configuration file is in use: in a clone, its folder. An installed
 * package is replaced as a whole by the next install, so there it is the user's folder for such data (XDG), from
 * whatever folder the command is run.
 */
export function dataFolder(env: NodeJS.ProcessEnv = process.env, folder = packageFolder()): string {
  if (!folder.split(sep).includes('node_modules')) return folder;
  const { XDG_DATA_HOME: named = '' } = env;
  return join(isAbsolute(named) ? named : join(homedir(), '.local', 'share'), 'iotlab-broker');
}

export function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(join(packageFolder(), 'package.json'), 'utf8')) as { version: string };
  return version;
}
