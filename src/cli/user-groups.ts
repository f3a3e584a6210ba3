import { editUsersFile, type UsersFile } from '../credentials/users-file.js';
import { UsageError } from '../errors.js';
import { whyNotAGroupName } from '../group-name.js';
import type { CommandIo } from './command.js';

/** Throws `UsageError` for a name that no group can have. */
export function assertGroupNames(names: readonly string[]): void {
  for (const name of names) {
    const why = whyNotAGroupName(name);
    if (why !== null) throw new UsageError(`${JSON.stringify(name)} ${why}: no group can be called that`);
  }
}

/** Prints the groups of a login, one a line; or, when `groups` are given, has it belong to these and no others. */
export async function userGroups(
  options: {
    readonly path: string;
    /** Where the path is from, as the end of a sentence. */
    readonly from: string;
    readonly login: string;
    readonly groups: readonly string[];
    readonly none: boolean;
    readonly notThere: () => UsageError;
  },
  io: CommandIo,
): Promise<number> {
  const { path, from, login, groups, none, notThere } = options;
  if (none && groups.length > 0) throw new UsageError('--none and names of groups exclude each other');
  assertGroupNames(groups);
  const changes = none || groups.length > 0;
  let belongs: readonly string[] = [];
  await editUsersFile(path, (file: UsersFile) => {
    const user = file.users.get(login);
    if (user === undefined) throw notThere();
    const edited = changes ? file.with(login, user.hashText, groups) : null;
    belongs = (edited ?? file).users.get(login)!.groups;
    return edited;
  });
  if (!changes) {
    for (const group of belongs) io.stdout.write(`${group}\n`);
    return 0;
  }
  const all = belongs.length === 0 ? 'no group' : belongs.join(', ');
  io.stdout.write(`${login} belongs to ${all} in ${path}${from}\n`);
  return 0;
}
