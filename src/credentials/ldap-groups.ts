import type { LdapConfig } from '../config/config.js';
import { whyNotAGroupName } from '../group-name.js';
import { ldapFault } from './ldap-fault.js';
import { filterFor, type LdapFilter } from './ldap-filter.js';
import type { LdapAnswer, LdapEntry, LdapQuery } from './ldap-messages.js';

/** Of one user; who is in more has to be told apart from a filter that finds all of them. */
const mostGroups = 500;

/** How the directory knows who belongs to what. */
export class LdapGroups {
  readonly #config: Pick<LdapConfig, 'groupsAttribute' | 'groupsBase' | 'groupsNameAttribute'>;
  readonly #filter: LdapFilter | null;
  readonly #base: readonly string[] | null;

  /** `filter`: the one that `groupsFilter` is. */
  constructor(
    config: Pick<LdapConfig, 'groupsAttribute' | 'groupsBase' | 'groupsNameAttribute'>,
    filter: LdapFilter | null,
  ) {
    this.#config = config;
    this.#filter = filter;
    this.#base = config.groupsBase === '' ? null : dnParts(config.groupsBase).map(comparable);
  }

  /** Groups are of no interest: nothing is configured. */
  get none(): boolean {
    return this.#filter === null && this.#config.groupsAttribute === '';
  }

  /** What has to be asked for with a user's entry. */
  get attributes(): readonly string[] {
    return this.#config.groupsAttribute === '' ? [] : [this.#config.groupsAttribute];
  }

  /** The names of the groups that the user's entry names. A value that is no DN is a name itself. */
  ofEntry(entry: LdapEntry): string[] {
    const { groupsAttribute } = this.#config;
    if (groupsAttribute === '') return [];
    return entry.values(groupsAttribute).flatMap((value) => this.#named(value));
  }

  /** The search for the groups of a user; null when there is none to be made. */
  query(login: string, dn: string): LdapQuery | null {
    if (this.#filter === null) return null;
    const { groupsBase: base, groupsNameAttribute } = this.#config;
    const filter = filterFor(this.#filter, login, dn);
    return { base, scope: 'sub', filter, attributes: [groupsNameAttribute], sizeLimit: mostGroups };
  }

  /** The names in the answer to that. Throws a `Fault` when it is none, or only a part of it. */
  ofAnswer({ code, message, entries }: LdapAnswer): string[] {
    const { groupsBase, groupsNameAttribute } = this.#config;
    if (code === 4) throw ldapFault('E_LDAP_SEARCH', `search for groups below ${groupsBase}: more than ${mostGroups}`);
    if (code !== 0) {
      throw ldapFault('E_LDAP_SEARCH', `search for groups below ${groupsBase}: ${message} (LDAP result ${code})`);
    }
    return entries.flatMap((entry) => entry.values(groupsNameAttribute)).filter(isName);
  }

  #named(value: string): string[] {
    if (!value.includes('=')) return this.#base === null && isName(value) ? [value] : [];
    const parts = dnParts(value);
    const name = plainValue(parts[0] ?? '');
    return name !== null && isName(name) && this.#isBelowBase(parts) ? [name] : [];
  }

  /** A group elsewhere that somebody called the same is another one. */
  #isBelowBase(parts: readonly string[]): boolean {
    const base = this.#base;
    if (base === null) return true;
    const above = parts.slice(-base.length).map(comparable);
    return parts.length > base.length && above.every((part, i) => part === base[i]);
  }
}

const isName = (name: string): boolean => whyNotAGroupName(name) === null;

/** The parts of a DN (RFC 4514), the outermost last; commas that are escaped or quoted belong to a part. */
export function dnParts(dn: string): string[] {
  const parts = dn.match(/(?:\\.|"(?:\\.|[^"\\])*"|[^,;\\"])+/gsu) ?? [];
  return parts.map((part) => part.trim()).filter((part) => part !== '');
}

/** Attribute and value as directories compare them. */
function comparable(part: string): string {
  const equals = part.indexOf('=');
  const attribute = part.slice(0, equals).trim().toLowerCase();
  return `${attribute}=${unescaped(part.slice(equals + 1))
    .normalize('NFKC')
    .toLowerCase()}`;
}

/** The value of a part; null when it has several, so that none of them is its name. */
function plainValue(part: string): string | null {
  const equals = part.indexOf('=');
  if (equals === -1 || /(?<!\\)\+/u.test(part)) return null;
  return unescaped(part.slice(equals + 1));
}

function unescaped(value: string): string {
  const text = /^\s*"(.*)"\s*$/su.exec(value)?.[1] ?? value.trim();
  const bytes: Buffer[] = [];
  // A pair of hex digits is a byte, of which several may be one character; any other character behind "\" is itself.
  for (const [, hex, plain, rest] of text.matchAll(/\\([0-9A-Fa-f]{2})|\\(.)|([^\\]+)/gsu)) {
    bytes.push(hex === undefined ? Buffer.from(plain ?? rest ?? '') : Buffer.from(hex, 'hex'));
  }
  return Buffer.concat(bytes).toString();
}
