import { compileAcl } from '../acl/acl.js';
import type { Config } from '../config/config.js';
import { createLoginRule } from '../credentials/login.js';
import type { UserUsage } from '../store/usage-by-user.js';

/** Of messages in topics that belong to no single user. */
const NOBODY = '-';

/** Whose a topic is: the login that stands where a rule has `%u`, if that login may write there. */
export function ownerByAcl(config: Config): (topic: string) => string {
  const acl = compileAcl(config.acl, config.groups);
  const isLogin = createLoginRule(config.credentials.loginPattern);
  const places = new Set<number>();
  for (const { topic } of config.acl) {
    for (const [index, level] of topic.split('/').entries()) if (level.includes('%u')) places.add(index);
  }
  const known = new Map<string, boolean>();
  return (topic) => {
    const levels = topic.split('/');
    for (const place of places) {
      const login = levels[place];
      if (login === undefined) continue;
      const tree = levels.slice(0, place + 1).join('/');
      let owns = known.get(tree);
      if (owns === undefined) {
        owns = isLogin(login) && acl.forLogin(login).publish(topic).allowed;
        known.set(tree, owns);
      }
      if (owns) return login;
    }
    return NOBODY;
  };
}

const columns: readonly [title: string, of: (usage: UserUsage) => string | number][] = [
  ['user', ({ user }) => user],
  ['sessions', ({ sessions }) => sessions],
  ['subscriptions', ({ subscriptions }) => subscriptions],
  ['queued', ({ queuedMessages }) => queuedMessages],
  ['bytes', ({ queuedBytes }) => queuedBytes],
  ['retained', ({ retainedMessages }) => retainedMessages],
  ['bytes', ({ retainedBytes }) => retainedBytes],
];

/** One line a user, columns aligned, the name to the left and numbers to the right. */
export function usageTable(users: readonly UserUsage[]): string {
  const rows = [columns.map(([title]) => title), ...users.map((user) => columns.map(([, of]) => String(of(user))))];
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index]!.length)));
  const line = (row: readonly string[]) =>
    row.map((cell, index) => (index === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[index]!))).join('  ');
  return `${rows.map(line).join('\n')}\n`;
}
