import type { AdminConfig } from '../config/config.js';
import type { Family } from '../observe/exposition.js';
import type { Log } from '../observe/log.js';
import { createRateLimited } from '../observe/rate-limited.js';
import { Tally } from '../observe/tally.js';
import { aclRoutes } from './acl.js';
import { auditRoutes, openAudit } from './audit.js';
import { banRoutes } from './bans.js';
import { configRoutes } from './config.js';
import { connectionRoutes } from './connections.js';
import type { AdminContext } from './context.js';
import { denialRoutes } from './denials.js';
import { eventRoutes } from './events.js';
import { measuredFolder } from './folder-size.js';
import { healthOf } from './health.js';
import { limitRoutes } from './limits.js';
import { Metrics } from './metrics.js';
import { EventLoopLag } from './metrics-process.js';
import { openAdminPort } from './port.js';
import { Rates } from './rates.js';
import type { Route } from './route.js';
import { Router } from './router.js';
import { slowRoutes } from './slow.js';
import { openAdminSocket } from './socket.js';
import { statusRoutes } from './status.js';
import { Token } from './token.js';
import { traceRoutes } from './trace-routes.js';
import { Traces } from './traces.js';
import { userDataRoutes } from './user-data.js';
import { userRoutes } from './users.js';

export interface AdminOptions
  extends Omit<AdminContext, 'startedAtMs' | 'requests' | 'streams' | 'storeBytes' | 'rates' | 'audited' | 'traces'> {
  readonly config: AdminConfig;
  /** Of the store: a folder, or `memory`. */
  readonly storePath: string;
  readonly log: Log;
}

export interface Admin {
  /** Of health and metrics; null when that is turned off. */
  readonly port: number | null;
  /** What Prometheus gets. */
  metrics(): Promise<readonly Family[]>;
  close(): Promise<void>;
}

/** Opens the doors of the operator: the socket of the commands, and the port of health and metrics. */
export async function openAdmin(options: AdminOptions): Promise<Admin> {
  const { config, clock } = options;
  const log = options.log.child({ part: 'admin' });
  const audit = openAudit(config.auditFile, { clock, log });
  const { accounts, operators } = options.parts;
  const rates = new Rates(accounts, clock, operators.balances.history);
  const streams = { open: 0, dropped: 0 };
  const traces = new Traces({ ...options, streams });
  const context: AdminContext = {
    ...options,
    ...{ startedAtMs: clock.monotonicMs(), requests: new Tally(['/status 200']), streams, traces },
    ...{ storeBytes: measuredFolder(options.storePath, clock), rates, audited: (lines) => audit.tail(lines) },
  };
  const noisyLog = createRateLimited({ clock });
  const onAnswer = (route: string, status: number) => context.requests.add(`${route} ${status}`);
  const router = new Router({ routes: adminRoutes(context), audit, log, onAnswer });
  const door = { router, audit, noisyLog, names: [config.host, ...config.names] };
  const token = new Token(config.port === 0 ? '' : config.tokenFile, log);
  await token.load();
  // Nobody looks at it from outside.
  const lag = config.port === 0 && config.socket === '' ? null : new EventLoopLag(context);
  const metrics = new Metrics(context, lag);
  const port = await openAdminPort({
    ...{ config, door, token, log: options.log },
    health: () => healthOf(context),
    metrics: (accept) => metrics.answer(accept),
  });
  const socket = await openAdminSocket(config.socket, door, log);
  return {
    port: port.port,
    metrics: () => metrics.families(),
    async close() {
      await Promise.all([socket?.close(), port.close()]);
      noisyLog.close();
      lag?.close();
      rates.close();
      traces.close();
      await audit.close();
    },
  };
}

/** Everything below `/v1`; docs/openapi.yaml says the same in words. */
export function adminRoutes(context: AdminContext): readonly Route[] {
  return [
    ...[...statusRoutes(context), ...configRoutes(context), ...aclRoutes(context), ...auditRoutes(context)],
    ...[...connectionRoutes(context), ...userRoutes(context), ...userDataRoutes(context), ...limitRoutes(context)],
    ...[...denialRoutes(context), ...slowRoutes(context), ...banRoutes(context)],
    ...[...traceRoutes(context), ...eventRoutes(context)],
  ];
}
