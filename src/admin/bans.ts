import { isIP } from 'node:net';
import type { BrokerParts } from '../broker-parts.js';
import { endClients, endConnections } from '../connection/connections.js';
import type { Ban } from '../credentials/bans.js';
import { Fault } from '../errors.js';
import { networkOf } from '../network.js';
import type { AdminContext } from './context.js';
import { dateOf } from './dates.js';
import { type AdminRequest, type Answer, json, notFound, Refusal, type Route } from './route.js';

const LONGEST_SECONDS = 366 * 86_400;
const REASON_CHARACTERS = 200;

/** Whom operators keep out for a while. */
export function banRoutes({ parts, clock }: AdminContext): readonly Route[] {
  const { bans } = parts;

  async function add({ body }: AdminRequest): Promise<Answer> {
    const { kind, name } = named(body);
    const { seconds = 3_600, reason = '', ...others } = body;
    const unknown = Object.keys(others).filter((key) => key !== 'login' && key !== 'address');
    if (unknown.length > 0) throw badBody(`${JSON.stringify(unknown[0])} is not known here`);
    if (!Number.isSafeInteger(seconds) || (seconds as number) < 1 || (seconds as number) > LONGEST_SECONDS) {
      throw badBody(`seconds is a whole number from 1 to ${LONGEST_SECONDS}: for longer, remove the account`);
    }
    if (typeof reason !== 'string' || reason.length > REASON_CHARACTERS) {
      throw badBody(`reason is a text of at most ${REASON_CHARACTERS} characters`);
    }
    const until = clock.epochMs() + (seconds as number) * 1_000;
    const ban = await bans.add(kind, name, until, reason).catch((error) => {
      throw error instanceof Fault ? new Refusal(507, error.code, error.message) : error;
    });
    return json({ ...banRow(ban), ended: endBanned(parts, ban) });
  }

  async function remove({ query }: AdminRequest): Promise<Answer> {
    const { kind, name } = named(query);
    if (!(await bans.remove(kind, name))) throw notFound(`${name} is not banned`);
    return json({ removed: true });
  }

  return [
    { method: 'GET', path: '/bans', answer: () => json({ bans: bans.list().map(banRow) }) },
    { method: 'POST', path: '/bans', answer: add },
    { method: 'DELETE', path: '/bans', query: { login: { kind: 'text' }, address: { kind: 'text' } }, answer: remove },
  ];
}

function named({ login, address }: Readonly<Record<string, unknown>>): { kind: Ban['kind']; name: string } {
  if (typeof login === 'string' && login !== '' && address === undefined) return { kind: 'login', name: login };
  if (typeof address === 'string' && isIP(address) !== 0 && login === undefined) {
    return { kind: 'address', name: address };
  }
  throw badBody('either a login or an IP address is needed');
}

function badBody(message: string): Refusal {
  return new Refusal(400, 'bad-body', message);
}

/** Returns how many there were. */
function endBanned(parts: BrokerParts, { kind, name }: Ban): number {
  if (kind === 'login') return endClients(parts, 'banned', name);
  const theirs = [...parts.connections].filter(({ address }) => networkOf(address) === name);
  return endConnections(parts, 'banned', theirs);
}

function banRow({ kind, name, since, until, reason }: Ban) {
  return { [kind]: name, since: dateOf(since), until: dateOf(until), reason };
}
