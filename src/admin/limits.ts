import { whyNotAUserLimit } from '../config/limits-schema.js';
import { limitUse, slowedUse } from '../session/limit-use.js';
import type { LimitOverride, UserLimits } from '../session/user-limits.js';
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
    const override = parts.limitRules.overrideOf(login);
    const ban = parts.bans.of('login', login);
    return {
      login,
      limits: limitsOf(login),
      use: account === undefined ? [] : limitUse(account, parts.ledger),
      rates: account === undefined ? [] : slowedUse(account),
      override: override === null ? null : overrideRow(override),
      bannedUntil: ban === null ? null : dateOf(ban.until),
    };
  }

  function change({ params, body }: AdminRequest): Answer {
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
    const since = clock.epochMs();
    const until = seconds === null ? null : since + Number(seconds) * 1_000;
    parts.accounts.setOverride(params.login!, { limits: readLimits(limits), since, until, reason });
    return json(show(params.login!));
  }

  function restore({ params }: AdminRequest): Answer {
    const login = params.login!;
    if (parts.limitRules.overrideOf(login) === null) throw notFound(`${login} has the usual limits`);
    parts.accounts.setOverride(login, null);
    return json(show(login));
  }

  return [
    {
      method: 'GET',
      path: '/limits',
      answer: () => {
        const overrides = [...parts.limitRules.overrides()];
        return json({ overrides: overrides.map(([login, override]) => ({ login, ...overrideRow(override) })) });
      },
    },
    { method: 'GET', path: '/users/{login}/limits', answer: ({ params }) => json(show(params.login!)) },
    { method: 'PUT', path: '/users/{login}/limits', answer: change },
    { method: 'DELETE', path: '/users/{login}/limits', answer: restore },
  ];
}

function overrideRow({ limits, since, until, reason }: LimitOverride) {
  return { limits, since: dateOf(since), until: until === null ? null : dateOf(until), reason };
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
