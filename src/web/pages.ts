import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { packageFolder } from '../config/package-folder.js';

export interface Page {
  readonly type: string;
  readonly content: Buffer;
  /** Changes with the content. */
  readonly tag: string;
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** The pages and what they consist of, by path: `/me` is me.html. They are read once and served from memory. */
export async function loadPages(): Promise<ReadonlyMap<string, Page>> {
  const folder = join(packageFolder(), 'src', 'web', 'pages');
  const { texts } = (await import(pathToFileURL(join(folder, 'texts.js')).href)) as { texts: Texts };
  const pages = new Map<string, Page>();
  for (const file of readdirSync(folder)) {
    const extension = extname(file);
    const type = types[extension];
    if (type === undefined) continue;
    const source = readFileSync(join(folder, file));
    const content = extension === '.html' ? Buffer.from(filled(source.toString('utf8'), texts)) : source;
    const path = extension === '.html' ? `/${file.slice(0, -extension.length)}` : `/${file}`;
    pages.set(path, {
      type,
      content,
      tag: `"${createHash('sha256').update(content).digest('base64url').slice(0, 22)}"`,
    });
  }
  return pages;
}

type Texts = { readonly [name: string]: string | Texts };

/** Puts the texts where the page names them: `{{me.title}}`. */
function filled(source: string, texts: Texts): string {
  return source.replaceAll(/\{\{([\w.]+)\}\}/g, (_, path: string) => {
    const text = path
      .split('.')
      .reduce<string | Texts | undefined>((at, name) => (typeof at === 'object' ? at[name] : undefined), texts);
    if (typeof text !== 'string') throw new Error(`texts.js has no ${path}`);
    return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
  });
}
