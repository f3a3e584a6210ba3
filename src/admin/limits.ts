import { whyNotAUserLimit } from '../config/limits-schema.js';
import { groupKey, whyNotAGroupName } from '../group-name.js';
import { limitUse, slowedUse } from '../session/limit-use.js';
import {
  groupSubject,
  isGroupSubject,
  type LimitOverride,
  MOST_DECISIONS,
  type UserLimits,
} from '../session/user-limits.js';
import type { AdminContext } from './context.js';
import { dateOf } from './dates.js';
import { type AdminRequest, type Answer, json, notFound, Refusal, type Route } from './route.js';

const LONGEST_SECONDS = 366 * 86_400;
const REASON_CHARACTERS = 200;

/** How much of their limits users take, and what operators decide about the limits of one of them. */
export function limitRoutes({ parts, clock }: AdminContext): readonly Route[] {
  /** What somebody would have, who has nothing here. */
  const limitsOf = (login: string): UserLimits => parts.accounts.known(login)?.limits ?? parts.limitRules.of(login, []);

  function show(login: string) {
    const account = parts.accounts.known(login);
    const ban = parts.bans.of('login', login);
    const decided = [...parts.limitRules.decidedFor(login, account?.groups ?? [])];
    return {
      login,
      limits: limitsOf(login),
      use: account === undefined ? [] : limitUse(account, parts.ledger),
      rates: account === undefined ? [] : slowedUse(account),
      decided: decided.map(decisionRow),
      bannedUntil: ban === null ? null : dateOf(ban.until),
    };
  }

  function showGroup(group: string) {
    const override = parts.limitRules.overrideOf(groupSubject(group));
    return { group: groupKey(group), decided: override === null ? [] : [decisionRow([groupSubject(group), override])] };
  }

  function decide(subject: string, { body }: AdminRequest): void {
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
    if ([...parts.limitRules.overrides()].length >= MOST_DECISIONS && parts.limitRules.overrideOf(subject) === null) {
      throw new Refusal(409, 'too-many', `there are ${MOST_DECISIONS} decisions already: take some back`);
    }
    const since = clock.epochMs();
    const until = seconds === null ? null : since + Number(seconds) * 1_000;
    parts.accounts.setOverride(subject, { limits: readLimits(limits), since, until, reason });
  }

  function takeBack(subject: string): void {
    if (parts.limitRules.overrideOf(subject) === null) throw notFound(`${subject} has the usual limits`);
    parts.accounts.setOverride(subject, null);
  }

  function forUser(act: (subject: string, request: AdminRequest) => void) {
    return (request: AdminRequest): Answer => {
      const login = request.params.login!;
      if (isGroupSubject(login)) throw notFound(`${login} is no login; limits of a group are below /groups`);
      act(login, request);
      return json(show(login));
    };
  }

  function forGroup(act: (subject: string, request: AdminRequest) => void) {
    return (request: AdminRequest): Answer => {
      const group = request.params.group!;
      const why = whyNotAGroupName(group);
      if (why !== null) throw new Refusal(400, 'bad-path', `${JSON.stringify(group)} ${why}`);
      act(groupSubject(group), request);
      return json(showGroup(group));
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
    { method: 'GET', path: '/users/{login}/limits', answer: forUser(() => {}) },
    { method: 'PUT', path: '/users/{login}/limits', answer: forUser(decide) },
    { method: 'DELETE', path: '/users/{login}/limits', answer: forUser(takeBack) },
    { method: 'GET', path: '/groups/{group}/limits', answer: forGroup(() => {}) },
    { method: 'PUT', path: '/groups/{group}/limits', answer: forGroup(decide) },
    { method: 'DELETE', path: '/groups/{group}/limits', answer: forGroup(takeBack) },
  ];
}

function decisionRow([subject, { limits, since, until, reason }]: readonly [string, LimitOverride]) {
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
