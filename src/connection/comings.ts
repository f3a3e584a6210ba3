import type { Traffic } from '../mqtt/traffic.js';
import type { Transport } from '../network.js';
import type { Counters } from '../observe/counters.js';
import type { History } from '../observe/history.js';
import { countLimit } from '../observe/limits-reached.js';
import type { Log } from '../observe/log.js';
import type { RateLimited } from '../observe/rate-limited.js';
import type { CloseReason } from '../session/close-reason.js';

/** Connects of one user, and ends of connections, that have a line each within the limiter's period. */
const COMINGS_LOGGED = 20;

export interface ComingsContext {
  readonly log: Log;
  readonly noisyLog: RateLimited;
  readonly history: History;
  readonly counters: Counters;
}

export interface Arrived {
  readonly n: number;
  readonly login: string;
  readonly clientId: string;
  readonly address: string;
  readonly transport: Transport;
  readonly protocol: string;
  readonly clean: boolean;
}

/** Tells log and history that a client was let in. */
export function tellArrival(
  { log, noisyLog, history, counters }: ComingsContext,
  arrived: Arrived,
  { present, stale }: { readonly present: boolean; readonly stale: boolean },
): void {
  const { login, clientId: client, address, transport, protocol, clean } = arrived;
  history.began(arrived);
  counters.connectionsOpened.add(`${transport} ${protocol}`);
  const more = { ...(present ? { sessionPresent: true } : {}), ...(stale ? { stale: true } : {}) };
  const line = (suppressed: number) =>
    log.info(
      { login, client, address, protocol, clean, ...more, ...(suppressed > 0 ? { suppressed } : {}) },
      'connected',
    );
  noisyLog.user(login).line('connected', line, COMINGS_LOGGED);
}

export interface Refused {
  readonly address: string;
  readonly network: string;
  /** What the peer says of itself. */
  readonly login: string | undefined;
  readonly clientId: string | undefined;
  readonly reason: string;
}

/** For the log; `detail` for the history too. */
export interface RefusedMore {
  readonly detail?: string;
  readonly [name: string]: unknown;
}

/** Tells log and history that a CONNECT was refused. */
export function tellRefusal(context: ComingsContext, refused: Refused, more: RefusedMore): void {
  const { log, noisyLog, history, counters } = context;
  const { address, network, clientId, reason } = refused;
  const login = refused.login?.slice(0, 64);
  history.refused(address, refused.login ?? null, clientId ?? null, reason, more.detail);
  counters.connectionsRefused.add(reason);
  countLimit(counters, reason);
  noisyLog.network(network).line(`refused:${reason}:${login}`, (suppressed) =>
    log.warn(
      {
        ...{ login, client: clientId?.slice(0, 64), address, reason },
        ...{ ...more, ...(suppressed > 0 ? { suppressed } : {}) },
      },
      'connection refused',
    ),
  );
}

interface Ending {
  readonly n: number;
  readonly address: string;
  readonly openedAt: number;
  readonly traffic: Traffic;
  readonly client: {
    readonly login: string;
    readonly clientId: string;
    readonly wire: { readonly version: string };
  } | null;
  /** Known before it is let in. */
  readonly peer: { readonly login: string; readonly clientId: string } | null;
}

/** Tells log and history that a connection ends: of a client that was let in, or of a peer in `network`. */
export function tellEnd(
  { log, noisyLog, history, counters }: ComingsContext,
  { n, address, openedAt, traffic, client, peer }: Ending,
  network: string,
  reason: CloseReason,
  detail: string | undefined,
): void {
  const why = detail === undefined ? { reason } : { reason, detail };
  if (client !== null) {
    const { login, clientId, wire } = client;
    const shared = { n, login, clientId, address, protocol: wire.version, openedAt, ...traffic };
    counters.connectionsClosed.add(reason);
    history.ended({ ...shared, reason, detail: detail ?? null });
    const line = (suppressed: number) =>
      log.info({ login, client: clientId, ...why, ...(suppressed > 0 ? { suppressed } : {}) }, 'disconnected');
    // A device that comes and goes all the time must not hide why another one is thrown out.
    noisyLog.user(login).line(`disconnected:${reason}`, line, COMINGS_LOGGED);
  } else if (reason !== 'refused') {
    counters.connectionsRefused.add(reason);
    history.refused(address, peer?.login ?? null, peer?.clientId ?? null, reason);
    const who = peer === null ? {} : { login: peer.login, client: peer.clientId.slice(0, 64) };
    const line = (suppressed: number) =>
      log.info(
        { ...who, address, ...why, ...(suppressed > 0 ? { suppressed } : {}) },
        'connection closed before CONNECT was accepted',
      );
    noisyLog.network(network).line('closed', line);
  }
}
