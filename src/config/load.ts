import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { UsageError, whyNoFile } from '../errors.js';
import type { Config } from './config.js';
import { inconsistencies } from './consistency.js';
import { type DeepPartial, defaultConfig } from './defaults.js';
import { dataFolder, packageFolder } from './package-folder.js';
import { redactUrls } from './redact.js';
import { configSchema } from './schema.js';
import { validate } from './validate.js';

/** Names the file when there is no `--config`. */
export const configVariable = 'IOTLAB_BROKER_CONFIG';

/**
 * The file that `loadConfig` would read: the one given, else the one that the environment names, else the package's
 * config/broker.yaml when there is one. Null: the defaults alone.
 */
export function configFile(file: string | undefined, env: NodeJS.ProcessEnv): string | null {
  const named = file ?? env[configVariable];
  if (named !== undefined && named !== '') return resolve(named);
  const own = join(ownFolder(), 'broker.yaml');
  return existsSync(own) ? own : null;
}

const ownFolder = () => join(packageFolder(), 'config');

/** Names what `loadConfig` would read: paths that nobody gave come from it, and so it belongs into the output. */
export function configOrigin(file: string | undefined, env: NodeJS.ProcessEnv): string {
  const path = configFile(file, env);
  return path === null ? 'no configuration file' : `configuration: ${path}`;
}

/** Reads and checks the configuration. Throws `UsageError` listing every problem with file, line, key and remedy. */
export async function loadConfig(file: string | undefined, env: NodeJS.ProcessEnv): Promise<Config> {
  const path = configFile(file, env);
  if (path === null) return defaultConfig({}, dataFolder(env));
  return parseConfig(await read(path, file === undefined ? configVariable : '--config'), path, env);
}

/**
 * Checks the text of a configuration file. What relative paths are relative to is the folder of the file, and that holds
 * for the default ones too: who runs a command, and where, changes nothing. Only the package's own file leaves them as
 * they are without any file.
 */
export function parseConfig(text: string, path: string, env: NodeJS.ProcessEnv = process.env): Config {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, prettyErrors: false });
  if (document.errors.length > 0) {
    const lines = document.errors.map(({ message, pos }) => `${path}:${counter.linePos(pos[0]).line}: ${message}`);
    throw refused(lines);
  }
  const { value, problems, lines } = validate(configSchema, document, counter, dirname(path));
  const report = problems.map((problem) => `${path}:${problem.line}: ${problem.key}: ${problem.text}`);
  if (report.length === 0) {
    const folder = dirname(path) === ownFolder() ? dataFolder(env) : dirname(path);
    const config = defaultConfig(value as DeepPartial<Config>, folder);
    for (const { key, text: why } of inconsistencies(config)) {
      report.push(`${path}:${lineOf(key, lines)}: ${key}: ${why}`);
    }
    if (report.length === 0) return config;
  }
  throw refused(report);
}

function refused(lines: readonly string[]): UsageError {
  return new UsageError(redactUrls(lines.join('\n')), { code: 'E_CONFIG' });
}

/** The line of the key, or of the nearest section around it that the file has. */
function lineOf(key: string, lines: ReadonlyMap<string, number>): number {
  for (let path = key; path !== ''; path = path.slice(0, Math.max(0, path.lastIndexOf('.')))) {
    const line = lines.get(path);
    if (line !== undefined) return line;
  }
  return 1;
}

async function read(path: string, namedBy: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new UsageError(`cannot read the configuration ${path} (from ${namedBy}): ${whyNoFile(error)}`, {
      code: 'E_CONFIG',
      cause: error,
    });
  }
}
