import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { packageFolder } from '../../src/config/package-folder.js';

const run = promisify(execFile);
const root = packageFolder();

export interface Finished {
  readonly code: number;
  readonly output: string;
}

export interface PackedFolder {
  write(file: string, text: string): Promise<void>;
  /** Runs a command in the folder, to its end, with what it printed. */
  run(command: string, ...args: readonly string[]): Promise<Finished>;
}

/** A new user's project: nothing of ours but the package, as it was packed. */
export class PackedProject {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** `linked`: packages of this repository's node_modules that the project has too. */
  static async create(linked: readonly string[]): Promise<PackedProject> {
    const project = new PackedProject(await mkdtemp(join(tmpdir(), 'iotlab-broker-packed-')));
    try {
      await project.#install(linked);
      return project;
    } catch (error) {
      await project.remove();
      throw error;
    }
  }

  async #install(linked: readonly string[]): Promise<void> {
    const { folder } = this;
    // `npm test` has built dist/ already.
    await run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder], { cwd: root });
    const packed = (await readdir(folder)).find((name) => name.endsWith('.tgz'))!;
    await writeFile(join(folder, 'package.json'), '{ "name": "new-user", "private": true }\n');
    const quietly = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
    await run('npm', ['install', ...quietly, join(folder, packed)], { cwd: folder });
    for (const name of linked) {
      const target = join(folder, 'node_modules', name);
      await mkdir(join(target, '..'), { recursive: true });
      // Of the same name, and so come with the package, it stays.
      if (!existsSync(target)) await symlink(join(root, 'node_modules', name), target);
    }
  }

  /** A folder of the project, for one test: what others write meanwhile is elsewhere. */
  async subfolder(name: string): Promise<PackedFolder> {
    const folder = join(this.folder, name);
    await mkdir(folder);
    return { write: (file, text) => writeFile(join(folder, file), text), run: (...line) => this.#run(folder, ...line) };
  }

  async #run(cwd: string, command: string, ...args: readonly string[]): Promise<Finished> {
    // A test runner in a test runner would report to the outer one.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const bin = join(this.folder, 'node_modules', '.bin');
    const options = { cwd, env: { ...env, PATH: `${bin}:${env.PATH}` }, timeout: 60_000 };
    try {
      const { stdout, stderr } = await run(command, [...args], options);
      return { code: 0, output: stdout + stderr };
    } catch (error) {
      const { code, stdout = '', stderr = '' } = error as { code?: unknown; stdout?: string; stderr?: string };
      return { code: typeof code === 'number' ? code : 1, output: stdout + stderr };
    }
  }

  remove(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}
