import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageFolder } from '../../src/config/package-folder.js';

/** The code blocks of a page of documentation that name a file, ```` ```js logger.mjs ````, by that name. */
export async function namedBlocks(page: string): Promise<Map<string, string>> {
  const text = await readFile(join(packageFolder(), page), 'utf8');
  const blocks = text.matchAll(/^```\w+ (\S+)\n(.*?)^```$/gms);
  return new Map([...blocks].map(([, name, code]) => [name!, code!]));
}
