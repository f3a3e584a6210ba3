import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageFolder } from '../../src/config/package-folder.js';

/** A Markdown page of the project, cut into what a test can hold it to. */
export interface Page {
  /** From the root: `docs/docker.md`. */
  readonly file: string;
  readonly text: string;
  /** Fenced blocks with their language (`sh`, `yaml`, or nothing). */
  readonly blocks: readonly { readonly language: string; readonly text: string }[];
  /** What stands between single backticks, outside of the blocks. */
  readonly spans: readonly string[];
  /** The anchors of its headings, as `#` links name them. */
  readonly anchors: ReadonlySet<string>;
}

/** Every page that is written for people, README.md first. */
export function allPages(): readonly Page[] {
  const docs = readdirSync(join(packageFolder(), 'docs')).filter((file) => file.endsWith('.md'));
  const files = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'certs/README.md', 'config/production/README.md'];
  return [...files, ...docs.sort().map((file) => `docs/${file}`)].map(openPage);
}

export function openPage(file: string): Page {
  const text = readFileSync(join(packageFolder(), file), 'utf8');
  const blocks = [...text.matchAll(/^ *```(\w*)[^\n`]*\n(.*?)^ *```$/gms)].map(([, language = '', block = '']) => ({
    language,
    text: block,
  }));
  const prose = text.replaceAll(/^ *```[^\n`]*\n.*?^ *```$/gms, '');
  return {
    file,
    text,
    blocks,
    spans: [...prose.matchAll(/`([^`\n]+)`/g)].map(([, span = '']) => span),
    anchors: new Set([...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading))),
  };
}

/** The part of a page below a heading, up to the next one of its rank. */
export function sectionOf({ text, file }: Page, heading: string): string {
  const start = text.indexOf(`\n## ${heading}\n`);
  if (start === -1) throw new Error(`${file} has no section "${heading}"`);
  const end = text.indexOf('\n## ', start + 1);
  return text.slice(start, end === -1 ? undefined : end);
}

/** The cells of a section's tables, without their heads; a `|` between backticks separates nothing. */
export function tableRows(section: string): string[][] {
  const lines = section.split('\n').filter((line) => line.startsWith('|'));
  return lines
    .filter((line, index) => !/^\|[ |-]*$/.test(line) && !/^\| *---/.test(lines[index + 1] ?? ''))
    .map((line) => (line.match(/(?:`[^`]*`|[^|`])+/g) ?? []).map((cell) => cell.trim()));
}

function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}
