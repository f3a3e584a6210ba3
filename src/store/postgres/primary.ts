import type pg from 'pg';
import type { Clock } from '../../clock.js';
import { Fault, UsageError } from '../../errors.js';
import { clientConfig, type PostgresPlace } from '../../postgres-url.js';
import { PatientClient } from './patient-client.js';

const RETRY_MS = 100;

export interface Search {
  readonly place: PostgresPlace;
  readonly clock: Clock;
  /** Given up then; infinite: never. */
  readonly untilMs: number;
  /** Nobody needs it any more. */
  readonly over: () => boolean;
  /** Hears of what is in the way, again and again. */
  readonly onTrouble?: (error: Error) => void;
}

/** A connection, and to which host. */
export interface Found {
  readonly client: pg.Client;
  readonly host: string;
}

/**
 * Connects to whichever host is the primary. All are asked at once, each again and again: one that is dead without a word
 * keeps nobody from the one that has taken its place. Throws at once what waiting does not mend, a wrong password or a
 * database that is not there, when all hosts say so: one alone may be on its way.
 */
export async function findPrimary(search: Search): Promise<Found> {
  const { place, clock, untilMs, over, onTrouble } = search;
  let found = false;
  const refusals = new Map<object, UsageError>();
  const ask = async (host: PostgresPlace['hosts'][number]): Promise<Found> => {
    for (;;) {
      try {
        const client = await connected(place, host);
        if (client !== null && !found) {
          found = true;
          return { client, host: `${host.host}:${host.port}` };
        }
        await client?.end().catch(() => {});
      } catch (error) {
        onTrouble?.(error as Error);
        const usage = usageError(error, place);
        if (usage === null) refusals.delete(host);
        else if (refusals.set(host, usage).size === place.hosts.length) throw usage;
        if (clock.monotonicMs() > untilMs) throw error;
      }
      if (found || over()) throw new Fault('E_STORE_CLOSED', 'the store is closed');
      if (clock.monotonicMs() > untilMs) throw new Fault('E_STORE_LOST', `${host.host}:${host.port} is no primary`);
      await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve));
    }
  };
  try {
    return await Promise.any(place.hosts.map(ask));
  } catch (error) {
    const { errors } = error as AggregateError;
    throw errors.find((it) => it instanceof UsageError) ?? errors[0];
  }
}

/** Null: it is a standby. */
async function connected(place: PostgresPlace, host: PostgresPlace['hosts'][number]): Promise<pg.Client | null> {
  const client = new PatientClient(clientConfig(place, host));
  // Whoever uses it hears of it by what it asks.
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query('select pg_is_in_recovery() as standby');
    if (!rows[0].standby) return client;
    await client.end();
    return null;
  } catch (error) {
    client.end().catch(() => {});
    throw error;
  }
}

const remedies: readonly [code: RegExp, remedy: string][] = [
  [/^28/, 'set PGPASSWORD or ~/.pgpass for its user, or name another user'],
  [/^3D000$/, 'create the database, or name another one'],
  [/^42501$/, "make the broker's user the owner of its database"],
  [/CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ALTNAME/, 'name the authority of its certificate with ?sslrootcert=FILE'],
];

/** What the operator has to mend. Null: it may mend itself. */
export function usageError(error: unknown, { database }: PostgresPlace): UsageError | null {
  if (error instanceof UsageError) return error;
  const { code = '', message } = error as { code?: string; message: string };
  const remedy = remedies.find(([pattern]) => pattern.test(code))?.[1];
  if (remedy === undefined) return null;
  return new UsageError(`storage.url: database ${database}: ${message}: ${remedy}`, {
    code: 'E_STORE_OPEN',
    cause: error,
  });
}

/** The connection is gone, or the server goes: what was asked is to be asked of the next one. */
export function isLost(error: unknown, client: pg.Client): boolean {
  const { code = '', message = '' } = error as { code?: string; message?: string };
  // Class 08, 57P01 to 57P05, and the standby that a primary has become.
  if (/^(08|57P0|25006)/.test(code)) return true;
  if (/^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_)/.test(code)) return true;
  const { _connected: connected, _ending: ending } = client as unknown as { _connected?: boolean; _ending?: boolean };
  return connected === false || ending === true || /Connection terminated|connection ended/.test(message);
}

/** What waits for an answer on it gets this error at once, also when the other side does not answer any more. */
export function cut(client: pg.Client, error: Error): void {
  client.end().catch(() => {});
  (client as unknown as { connection: { stream: { destroy(error: Error): void } } }).connection.stream.destroy(error);
}
