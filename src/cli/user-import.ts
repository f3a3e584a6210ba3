import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { asUsageError, editUsersFile, type UserLine, UsersFile } from '../credentials/users-file.js';
import { UsageError, whyNoFile } from '../errors.js';
import type { CommandIo } from './command.js';
import { readAll } from './read-all.js';

/**
 * Takes over the users of a file in mosquitto_passwd's format, hashes and all: nobody needs a new password. All that is
 * taken is written at once. The exit code is 1 when a line was refused.
 */
export async function importUsers(
  options: {
    readonly source: string;
    readonly path: string;
    /** Where the path is from, as the end of a sentence. */
    readonly from: string;
    readonly replace: boolean;
    readonly isLogin: (login: string) => boolean;
    readonly loginPattern: string;
  },
  io: CommandIo,
): Promise<number> {
  const { source, path, from, replace, isLogin, loginPattern } = options;
  const incoming = UsersFile.parse(source === '-' ? await readAll(io) : await readSource(source));
  const refused = incoming.problems.map(({ line, problem }) => ({ line, problem }));
  let imported = 0;
  let kept = 0;
  let same = 0;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch((error) => {
    throw asUsageError(path, error);
  });
  await editUsersFile(path, (file) => {
    const taken = new Map<string, UserLine>();
    for (const { login, hashText, groups, line } of incoming.users.values()) {
      if (!isLogin(login)) {
        const problem = `${JSON.stringify(login)} does not match credentials.loginPattern (${loginPattern})`;
        refused.push({ line, problem });
      } else if (file.users.get(login)?.hashText === hashText) same += 1;
      else if (file.mentions(login) && !replace) kept += 1;
      else taken.set(login, { hashText, ...(groups.length > 0 && { groups }) });
    }
    imported = taken.size;
    return imported === 0 ? null : file.withAll(taken);
  });
  refused.sort((a, b) => a.line - b.line);
  for (const { line, problem } of refused) io.stderr.write(`${source}:${line}: refused: ${problem}\n`);
  const parts = [`${imported} imported into ${path}${from}`];
  if (same > 0) parts.push(`${same} already there with the same password`);
  if (kept > 0) parts.push(`${kept} already there and kept as they are (--replace takes the file's)`);
  if (refused.length > 0) parts.push(`${refused.length} refused`);
  io.stdout.write(`${parts.join(', ')}\n`);
  return refused.length > 0 ? 1 : 0;
}

async function readSource(source: string): Promise<string> {
  try {
    return await readFile(source, 'utf8');
  } catch (error) {
    throw new UsageError(`${source}: cannot be read: ${whyNoFile(error)}`, { cause: error });
  }
}
