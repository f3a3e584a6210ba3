import type { Acl, UserAcl } from './acl.js';

/** Logins whose rules are remembered. */
const KNOWN_LOGINS = 1_000;

interface Known {
  /** What the rules were found with. */
  readonly groups: readonly string[];
  readonly rules: UserAcl;
}

/** The rules in force, by login. */
export class Rulebook {
  #acl: Acl;
  readonly #groupsOf: (login: string) => readonly string[];
  readonly #known = new Map<string, Known>();

  /** `groupsOf`: what the credential backend said; another list for every answer that is another one. */
  constructor(acl: Acl, groupsOf: (login: string) => readonly string[]) {
    this.#acl = acl;
    this.#groupsOf = groupsOf;
  }

  get acl(): Acl {
    return this.#acl;
  }

  of(login: string): UserAcl {
    const groups = this.#groupsOf(login);
    const known = this.#known.get(login);
    if (known !== undefined && known.groups === groups) return known.rules;
    if (this.#known.size >= KNOWN_LOGINS) this.#known.clear();
    const rules = this.#acl.forLogin(login, groups);
    this.#known.set(login, { groups, rules });
    return rules;
  }

  /** Other rules, from now on. */
  use(acl: Acl): void {
    this.#acl = acl;
    this.#known.clear();
  }
}
