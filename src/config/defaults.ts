import { resolve } from 'node:path';
import type { Config } from './config.js';
import type { Node } from './node.js';
import { dataFolder } from './package-folder.js';
import { configSchema } from './schema.js';

export type DeepPartial<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { readonly [K in keyof T]?: DeepPartial<T[K]> | undefined }
    : T;

/**
 * The defaults with `overrides` laid over them: sections are merged, lists replaced, and what is undefined is ignored.
 * Nothing is checked. Relative default paths are resolved against `folder`; overridden ones stay as given.
 */
export function defaultConfig(overrides: DeepPartial<Config> = {}, folder: string = dataFolder()): Config {
  return defaultOf(configSchema, overrides, folder) as Config;
}

function defaultOf(node: Node, override: unknown, folder: string): unknown {
  if (node.kind === 'section') {
    const given = (override ?? {}) as Readonly<Record<string, unknown>>;
    return Object.fromEntries(
      Object.entries(node.keys).map(([key, child]) => [key, defaultOf(child, given[key], folder)]),
    );
  }
  if (override !== undefined) return override;
  const value = node.default;
  return node.kind === 'leaf' && typeof value === 'string' && node.isPath(value) ? resolve(folder, value) : value;
}
