import { whyNotAUserLimit } from '../config/limits-schema.js';
import type { LookedUp } from '../credentials/backend.js';
import { groupKey, groupSubject, isGroupSubject, whyNotAGroupName } from '../group-name.js';
import { limitUse, slowedUse } from '../session/limit-use.js';
import type { UserAccount } from '../session/user-account.js';
import { type LimitOverride, MOST_DECISIONS, type UserLimits } from '../session/user-limits.js';
import type { AdminContext } from './context.js';
import { dateOf } from './dates.js';
import { type AdminRequest, type Answer, json, notFound, Refusal, type Route } from './route.js';
import { rounded } from './users.js';

const LONGEST_SECONDS = 366 * 86_400;
const REASON_CHARACTERS = 200;

/** What a request about a user's limits is answered from. */
interface Subject {
  readonly login: string;
  /** As the credential backend says now, of who is not here. */
  readonly found: LookedUp;
}

/** How much of their limits users take, and what operators decide about the limits of one of them. */
export function limitRoutes(context: AdminContext): readonly Route[] {
  const { parts, clock, rates, lookUp, backend } = context;
  const { accounts, limitRules, rules } = parts;

  function show({ login, found }: Subject) {
    const account = accounts.known(login);
    // What is in force; or what would be, if the user came now.
    const isKnown = account !== undefined && (account.connections.size > 0 || account.groups.length > 0);
    const told = isKnown ? account.groups : (found.groups ?? []);
    const ban = parts.bans.of('login', login);
    return {
      login,
      limits: limitRules.of(login, told),
      use: account === undefined ? [] : limitUse(account, parts.ledger),
      rates: account === undefined ? [] : slowedUse(account),
      perSecond: rounded(rates.of(login)),
      groups: limitRules.groupsOf(login, told),
      notes: notesOn(login, account, found),
      decided: [...limitRules.decidedFor(login, told)].map(decisionRow),
      bannedUntil: ban === null ? null : dateOf(ban.until),
    };
  }

  /** What whoever reads it might take for granted. */
  function notesOn(login: string, account: UserAccount | undefined, { exists, groups }: LookedUp): string[] {
    if (account !== undefined && account.connections.size > 0) return [];
    const notes: string[] = [];
    if (exists === false)
      notes.push(`there is no ${login}, as the ${backend} backend says: nobody could log in with it`);
    if (groups === null) {
      notes.push(
        `the ${backend} backend does not say now which groups ${login} belongs to: what is decided or configured for these counts from the log-in on`,
      );
    }
    return notes;
  }

  function showGroup(group: string) {
    const subject = groupSubject(group);
    const override = limitRules.overrideOf(subject);
    return {
      group: groupKey(group),
      notes: isHeardOf(group)
        ? []
        : [
            `the configuration names no @${groupKey(group)}, and nobody who is here belongs to it: what is decided for it counts for those of whom the ${backend} backend says so when they log in`,
          ],
      decided: override === null ? [] : [decisionRow([subject, override])],
    };
  }

  function isHeardOf(group: string): boolean {
    const key = groupKey(group);
    if (limitRules.namesGroup(key) || rules.acl.groups.some((each) => groupKey(each) === key)) return true;
    for (const { groups } of accounts.values()) if (groups.some((each) => groupKey(each) === key)) return true;
    return false;
  }

  /** Returns what it takes the place of. */
  function decide(subject: string, { body }: AdminRequest): LimitOverride | null {
    const { limits, seconds = null, reason = '', ...others } = body;
    const unknown = Object.keys(others)[0];
    if (unknown !== undefined) throw badBody(`${JSON.stringify(unknown)} is not known here`);
    if (
      seconds !== null &&
      !(Number.isSafeInteger(seconds) && Number(seconds) >= 1 && Number(seconds) <= LONGEST_SECONDS)
    )
      throw badBody(`seconds is a whole number from 1 to ${LONGEST_SECONDS}, or null: until it is taken back`);
    if (typeof reason !== 'string' || reason.length > REASON_CHARACTERS) {
      throw badBody(`reason is a text of at most ${REASON_CHARACTERS} characters`);
    }
    const former = limitRules.overrideOf(subject);
    if (former === null && [...limitRules.overrides()].length >= MOST_DECISIONS) {
      throw new Refusal(409, 'too-many', `there are ${MOST_DECISIONS} decisions already: take some back`);
    }
    const since = clock.epochMs();
    const until = seconds === null ? null : since + Number(seconds) * 1_000;
    accounts.setOverride(subject, { limits: readLimits(limits), since, until, reason });
    return former;
  }

  function takeBack(subject: string): LimitOverride | null {
    const former = limitRules.overrideOf(subject);
    if (former === null) throw notFound(`${subject} has the usual limits`);
    accounts.setOverride(subject, null);
    return former;
  }

  type Act = ((subject: string, request: AdminRequest) => LimitOverride | null) | null;

  /** With what was decided before, where something is decided. */
  function withFormer(subject: string, request: AdminRequest, act: Act): object {
    if (act === null) return {};
    const former = act(subject, request);
    return former === null ? {} : { former: decisionRow([subject, former]) };
  }

  function forUser(act: Act) {
    return async (request: AdminRequest): Promise<Answer> => {
      const login = request.params.login!;
      if (isGroupSubject(login)) throw notFound(`${login} is no login; limits of a group are below /groups`);
      const former = withFormer(login, request, act);
      // Who is here has said so.
      const isHere = (accounts.known(login)?.connections.size ?? 0) > 0;
      const found = isHere ? { exists: true, groups: null } : await lookUp(login);
      return json({ ...show({ login, found }), ...former });
    };
  }

  function forGroup(act: Act) {
    return (request: AdminRequest): Answer => {
      const group = request.params.group!;
      const why = whyNotAGroupName(group);
      if (why !== null) throw new Refusal(400, 'bad-path', `${JSON.stringify(group)} ${why}`);
      const former = withFormer(groupSubject(group), request, act);
      return json({ ...showGroup(group), ...former });
    };
  }

  return [
    {
      method: 'GET',
      path: '/limits',
      answer: () => {
        const overrides = [...parts.limitRules.overrides()];
        return json({ overrides: overrides.map(decisionRow) });
      },
    },
    { method: 'GET', path: '/users/{login}/limits', answer: forUser(null) },
    { method: 'PUT', path: '/users/{login}/limits', answer: forUser(decide) },
    { method: 'DELETE', path: '/users/{login}/limits', answer: forUser(takeBack) },
    { method: 'GET', path: '/groups/{group}/limits', answer: forGroup(null) },
    { method: 'PUT', path: '/groups/{group}/limits', answer: forGroup(decide) },
    { method: 'DELETE', path: '/groups/{group}/limits', answer: forGroup(takeBack) },
  ];
}

export function decisionRow([subject, { limits, since, until, reason }]: readonly [string, LimitOverride]) {
  const whose = isGroupSubject(subject) ? { group: subject.slice(1) } : { login: subject };
  return { ...whose, limits, since: dateOf(since), until: until === null ? null : dateOf(until), reason };
}

function readLimits(given: unknown): Partial<UserLimits> {
  if (typeof given !== 'object' || given === null || Array.isArray(given) || Object.keys(given).length === 0) {
    throw badBody('limits is an object with at least one limit');
  }
  const entries = Object.entries(given as object).map(([name, value]) => {
    const why = whyNotAUserLimit(name, value);
    if (why !== null) throw badBody(`${JSON.stringify(name)} ${why}`);
    return [name, value];
  });
  return Object.fromEntries(entries);
}

function badBody(message: string): Refusal {
  return new Refusal(400, 'bad-body', message);
}
