import { hashPassword, randomPassword } from '../credentials/password-hash.js';
import { editUsersFile, REMOVAL_HOLD_SECONDS, type UserLine } from '../credentials/users-file.js';
import { Fault } from '../errors.js';
import { whyNotAGroupName } from '../group-name.js';
import { shardOf } from '../shard.js';
import type { AdminContext, EditableUsers } from './context.js';
import { forgetLogin } from './forget.js';
import { type AdminRequest, type Answer, json, notFound, Refusal, type Route } from './route.js';

/** Of a class, at a time. */
const MOST_LOGINS = 500;
/** Hashes that are made at the same time: clients want to log in meanwhile. */
const AT_ONCE = 2;

/** Class lists: many users at once, with passwords that are made up, and a user's end with all that is kept. */
export function accountRoutes(context: AdminContext): readonly Route[] {
  const users = (): EditableUsers => {
    if (context.users !== null) return context.users;
    throw new Refusal(409, 'no-users-file', 'the users are elsewhere (credentials.backend); add and remove them there');
  };

  /** Those of whom nothing is here, too. Of several brokers each tells of its own. */
  async function find({ query }: AdminRequest): Promise<Answer> {
    const { cluster, parts, findLogins } = context;
    const found = await findLogins((query.find as string | undefined) ?? '', query.limit as number);
    const own = found.filter((login) => shardOf(login, cluster.shards) === cluster.shard).sort();
    return json({ accounts: own.map((login) => ({ login, here: parts.accounts.seen(login) !== undefined })) });
  }

  async function add({ body }: AdminRequest): Promise<Answer> {
    const { path, isLogin, refresh } = users();
    const { logins, groups } = listsIn(body, isLogin);
    const added: { login: string; password: string }[] = [];
    let there: string[] = [];
    await edit(path, async (file) => {
      there = logins.filter((login) => file.mentions(login));
      const fresh = logins.filter((login) => !file.mentions(login));
      const lines = new Map<string, UserLine>();
      for (let i = 0; i < fresh.length; i += AT_ONCE) {
        const some = fresh.slice(i, i + AT_ONCE).map(async (login) => {
          const password = randomPassword();
          added.push({ login, password });
          lines.set(login, { hashText: await hashPassword(password), ...(groups.length > 0 && { groups }) });
        });
        await Promise.all(some);
      }
      return lines.size === 0 ? null : file.withAll(lines);
    });
    await refresh();
    return json({ added, there });
  }

  async function remove({ params }: AdminRequest): Promise<Answer> {
    const { path, refresh } = users();
    const login = params.login!;
    let forgotten: object = {};
    await edit(path, async (file) => {
      if (!file.mentions(login)) throw notFound(`there is no ${JSON.stringify(login)} in the users file`);
      forgotten = await forgetLogin(context, login, REMOVAL_HOLD_SECONDS);
      return file.without(login);
    });
    await refresh();
    return json(forgotten);
  }

  return [
    {
      method: 'GET',
      path: '/accounts',
      query: { find: { kind: 'text' }, limit: { kind: 'integer', min: 1, max: 1_000, otherwise: 100 } },
      answer: find,
    },
    { method: 'POST', path: '/accounts', answer: add },
    { method: 'DELETE', path: '/accounts/{login}', answer: remove },
  ];
}

async function edit(path: string, change: Parameters<typeof editUsersFile>[1]): Promise<void> {
  await editUsersFile(path, change).catch((error) => {
    throw error instanceof Fault ? new Refusal(507, error.code, error.message) : error;
  });
}

function listsIn(body: AdminRequest['body'], isLogin: (login: string) => boolean) {
  const { logins, groups = [], ...others } = body;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw badBody(`${JSON.stringify(unknown)} is not known here`);
  if (!isTexts(logins) || logins.length === 0) throw badBody('logins is a list of logins');
  if (logins.length > MOST_LOGINS) throw badBody(`at most ${MOST_LOGINS} logins at a time`);
  for (const login of logins) {
    if (!isLogin(login)) throw badBody(`${JSON.stringify(login)} could never log in (credentials.loginPattern)`);
  }
  if (!isTexts(groups)) throw badBody('groups is a list of groups');
  for (const group of groups) {
    const why = whyNotAGroupName(group);
    if (why !== null) throw badBody(`${JSON.stringify(group)} ${why}`);
  }
  return { logins: [...new Set(logins)], groups };
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

function badBody(message: string): Refusal {
  return new Refusal(400, 'bad-body', message);
}
