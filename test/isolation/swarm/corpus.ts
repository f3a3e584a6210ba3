import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Program } from './program.js';

/** Programs that once did harm, made small. */
export const corpusFolder = fileURLToPath(new URL('../../../../test/isolation/corpus', import.meta.url));

export async function readCorpus(): Promise<Program[]> {
  const files = await readdir(corpusFolder);
  return await Promise.all(
    files
      .filter((file) => file.endsWith('.json'))
      .sort()
      .map((file) => readProgram(join(corpusFolder, file))),
  );
}

export async function readProgram(file: string): Promise<Program> {
  return JSON.parse(await readFile(file, 'utf8')) as Program;
}

/** Returns the file. */
export async function keep(program: Program): Promise<string> {
  const file = join(corpusFolder, `${program.name}.json`);
  await mkdir(corpusFolder, { recursive: true });
  await writeFile(file, `${JSON.stringify(program, null, 2)}\n`);
  return file;
}
