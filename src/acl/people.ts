import { groupKey } from '../group-name.js';

/** Somebody whom rules and limits may be for. */
export interface Person {
  readonly login: string;
  /** By `groupKey`. */
  readonly groups: ReadonlySet<string>;
}

/** Whom a row of the configuration names. */
export interface Named {
  readonly users?: readonly string[];
  readonly groups?: readonly string[];
}

/** Who belongs to the configured groups, and to those that a credential backend tells of besides. */
export class Membership {
  readonly #groupsOf = new Map<string, readonly string[]>();
  readonly #keys: ReadonlySet<string>;

  constructor(groups: readonly { readonly name: string; readonly users: readonly string[] }[] = []) {
    this.#keys = new Set(groups.map(({ name }) => groupKey(name)));
    for (const { name, users } of groups) {
      for (const login of users) this.#groupsOf.set(login, [...(this.#groupsOf.get(login) ?? []), groupKey(name)]);
    }
  }

  /** Is it one of the configured groups? By `groupKey`. */
  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** The login with all of its groups. */
  person(login: string, told: readonly string[] = []): Person {
    return { login, groups: new Set([...(this.#groupsOf.get(login) ?? []), ...told.map(groupKey)]) };
  }
}

/** Is it for this person: one of its users, or a member of one of its groups? What names nobody is for all. */
export function compileNamed({ users, groups }: Named): (person: Person) => boolean {
  if (users === undefined && groups === undefined) return () => true;
  const logins = new Set(users);
  const keys = (groups ?? []).map(groupKey);
  return (person) => logins.has(person.login) || keys.some((key) => person.groups.has(key));
}
