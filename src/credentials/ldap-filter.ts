import { UsageError } from '../errors.js';

/**
 * A search filter as a tree (RFC 4511, 4.5.1.7). A login enters the tree as a value and never as text that is parsed
 * again, so there is nothing in it to escape and nothing that it could inject.
 */
export type LdapFilter =
  | { readonly kind: 'and' | 'or'; readonly filters: readonly LdapFilter[] }
  | { readonly kind: 'not'; readonly filter: LdapFilter }
  | { readonly kind: 'present'; readonly attribute: string }
  | { readonly kind: 'equal' | 'atLeast' | 'atMost' | 'approx'; readonly attribute: string; readonly value: string }
  | {
      readonly kind: 'substrings';
      readonly attribute: string;
      readonly initial: string;
      readonly any: readonly string[];
      readonly final: string;
    }
  | {
      readonly kind: 'extensible';
      readonly attribute: string;
      readonly rule: string;
      readonly dn: boolean;
      readonly value: string;
    };

/** Parses a filter (RFC 4515) from the configuration. `key` names the setting in the message of the `UsageError`. */
export function parseFilter(text: string, key: string): LdapFilter {
  const wrong = (why: string) =>
    new UsageError(`${key}: ${JSON.stringify(text)} is not an LDAP filter: ${why}. Such as: (uid=%u)`);
  let at = 0;

  function filter(): LdapFilter {
    expect('(');
    const operator = text[at];
    let result: LdapFilter;
    if (operator === '&' || operator === '|') {
      at += 1;
      const filters: LdapFilter[] = [];
      while (text[at] === '(') filters.push(filter());
      if (filters.length === 0) throw wrong(`"${operator}" has nothing to combine`);
      result = { kind: operator === '&' ? 'and' : 'or', filters };
    } else if (operator === '!') {
      at += 1;
      result = { kind: 'not', filter: filter() };
    } else {
      const end = text.indexOf(')', at);
      if (end === -1) throw wrong('a ")" is missing');
      result = item(text.slice(at, end));
      at = end;
    }
    expect(')');
    return result;
  }

  function expect(character: string): void {
    if (text[at] !== character) throw wrong(`there should be a "${character}" at character ${at + 1}`);
    at += 1;
  }

  function item(source: string): LdapFilter {
    const match = /^([A-Za-z0-9.;-]*)((?::dn)?(?::[A-Za-z0-9.-]+)?:=|>=|<=|~=|=)(.*)$/su.exec(source);
    if (match === null) throw wrong(`"${source}" has no attribute and operator`);
    const [, attribute = '', operator = '', raw = ''] = match;
    if (operator.endsWith(':=')) {
      const parts = operator.slice(0, -2).split(':').slice(1);
      const rule = parts.filter((part) => part !== 'dn')[0] ?? '';
      if (attribute === '' && rule === '') throw wrong(`"${source}" names neither an attribute nor a rule`);
      return { kind: 'extensible', attribute, rule, dn: parts[0] === 'dn', value: unescaped(raw) };
    }
    if (attribute === '') throw wrong(`"${source}" names no attribute`);
    if (operator !== '=') {
      const kind = operator === '>=' ? 'atLeast' : operator === '<=' ? 'atMost' : 'approx';
      return { kind, attribute, value: unescaped(raw) };
    }
    if (raw === '*') return { kind: 'present', attribute };
    const parts = raw.split('*').map(unescaped);
    if (parts.length === 1) return { kind: 'equal', attribute, value: parts[0]! };
    const any = parts.slice(1, -1).filter((part) => part !== '');
    return { kind: 'substrings', attribute, initial: parts[0]!, any, final: parts.at(-1)! };
  }

  function unescaped(value: string): string {
    if (/\\(?![0-9A-Fa-f]{2})|\(/u.test(value)) throw wrong(`"${value}" holds a "\\" or "(" that is not escaped`);
    const bytes = Buffer.concat(
      value
        .split(/(\\[0-9A-Fa-f]{2})/u)
        .map((part) => (part[0] === '\\' ? Buffer.from(part.slice(1), 'hex') : Buffer.from(part))),
    );
    return bytes.toString();
  }

  const result = filter();
  if (at !== text.length) throw wrong(`there is something behind character ${at}`);
  return result;
}

/** The filter with `login` in the place of each `%u`, and `dn`, where there is one, in that of each `%d`. */
export function filterFor(filter: LdapFilter, login: string, dn?: string): LdapFilter {
  const fill = (value: string) => value.replaceAll(/%[ud]/g, (it) => (it === '%u' ? login : (dn ?? it)));
  switch (filter.kind) {
    case 'and':
    case 'or':
      return { kind: filter.kind, filters: filter.filters.map((part) => filterFor(part, login, dn)) };
    case 'not':
      return { kind: 'not', filter: filterFor(filter.filter, login, dn) };
    case 'present':
      return filter;
    case 'substrings':
      return { ...filter, initial: fill(filter.initial), any: filter.any.map(fill), final: fill(filter.final) };
    default:
      return { ...filter, value: fill(filter.value) };
  }
}

/** The DN of `login` from a template such as `uid=%u,ou=People,dc=senslab,dc=info`. */
export function dnFor(template: string, login: string): string {
  return template.replaceAll('%u', () => escapeDnValue(login));
}

/** Every byte that could mean something in a DN becomes a hex pair, which is always allowed (RFC 4514, 2.4). */
export function escapeDnValue(value: string): string {
  return Array.from(Buffer.from(value), (byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9._@-]/u.test(character) ? character : `\\${byte.toString(16).padStart(2, '0')}`;
  }).join('');
}
