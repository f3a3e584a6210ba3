import type { AdminConfig } from '../config/config.js';
import type { Family } from '../observe/exposition.js';
import type { Log } from '../observe/log.js';
import { Tally } from '../observe/tally.js';
import { accountRoutes } from './accounts.js';
import { aclRoutes } from './acl.js';
import { type Audit, auditRoutes, NO_AUDIT, openAudit } from './audit.js';
import { banRoutes } from './bans.js';
import { configRoutes } from './config.js';
import { connectionRoutes } from './connections.js';
import type { AdminContext } from './context.js';
import { Course, courseRoutes } from './course.js';
import { denialRoutes } from './denials.js';
import { Departure } from './departure.js';
import { type Doors, openDoors } from './doors.js';
import { drainRoutes } from './drain.js';
import { eventRoutes } from './events.js';
import { measuredFolder } from './folder-size.js';
import { forgetRoutes } from './forget.js';
import { type HealthState, healthOf } from './health.js';
import { limitRoutes } from './limits.js';
import { meRoutes } from './me.js';
import { MeEvents } from './me-events.js';
import { Metrics } from './metrics.js';
import { EventLoopLag } from './metrics-process.js';
import { userMetricsRoutes } from './metrics-users.js';
import { Rates } from './rates.js';
import type { Answer, Route } from './route.js';
import { type Answerer, Router } from './router.js';
import { slowRoutes } from './slow.js';
import { statusRoutes } from './status.js';
import { traceRoutes } from './trace-routes.js';
import { Traces } from './traces.js';
import { userDataRoutes } from './user-data.js';
import { userRoutes } from './users.js';

type MadeHere =
  | 'startedAtMs'
  | 'requests'
  | 'streams'
  | 'storeBytes'
  | 'rates'
  | 'audited'
  | 'traces'
  | 'departure'
  | 'course';

export interface AdminOptions extends Omit<AdminContext, MadeHere> {
  readonly config: AdminConfig;
  /** Of the store: a folder, or `memory`. */
  readonly storePath: string;
  readonly log: Log;
}

export interface Admin extends Doors, Answerer {
  /** Answers users about what is theirs. */
  readonly own: Answerer;
  readonly audit: Audit;
  health(): HealthState;
  /** What Prometheus gets. */
  families(): Promise<readonly Family[]>;
  /** The same in the format that `accept` asks for. */
  metrics(accept: string): Promise<Answer>;
}

/** What operators are answered from, and the doors to it. */
export async function openAdmin(options: AdminOptions): Promise<Admin> {
  const { config, clock, log, cluster } = options;
  const adminLog = log.child({ part: 'admin' });
  const audit = openAudit(config.auditFile, { clock, log: adminLog });
  const { accounts, operators } = options.parts;
  const departure = new Departure();
  const rates = new Rates(accounts, clock, operators.balances.history);
  const streams = { open: 0, dropped: 0 };
  const course = new Course(options.parts, clock);
  const traces = new Traces({ ...options, streams });
  const context: AdminContext = {
    ...{
      ...options,
      departure,
      startedAtMs: clock.monotonicMs(),
      requests: new Tally(['/status 200']),
      streams,
      course,
    },
    ...{ storeBytes: measuredFolder(options.storePath, clock), rates, traces, audited: (lines) => audit.tail(lines) },
  };
  // Without a door nobody looks at it from outside, but for who supervises shards.
  const unseen = config.port === 0 && config.socket === '' && cluster.shards === 1;
  const lag = unseen ? null : new EventLoopLag(context);
  const totals = new Metrics(context, lag);
  const onAnswer = (route: string, status: number) => context.requests.add(`${route} ${status}`);
  const router = new Router({ routes: adminRoutes(context), audit, log: adminLog, onAnswer });
  const meEvents = new MeEvents(context);
  // What users do to what is theirs is no business of the audit log, and they could fill it.
  const own = new Router({ routes: meRoutes(context, meEvents), audit: NO_AUDIT, log: adminLog, onAnswer });
  const health = () => healthOf(context);
  const metrics = (accept: string) => totals.answer(accept);
  const ready = () => !context.stopping() && !departure.begun;
  const doors = await openDoors({ config, log, clock, audit, answerer: router, health, ready, metrics });
  return {
    ...{ port: doors.port, health, metrics, own, audit },
    families: () => totals.families(),
    answer: (received) => router.answer(received),
    async close() {
      departure.close();
      await doors.close();
      lag?.close();
      rates.close();
      course.close();
      traces.close();
      meEvents.close();
      await audit.close();
    },
  };
}

/** Everything below `/v1`; docs/openapi.yaml says the same in words. */
export function adminRoutes(context: AdminContext): readonly Route[] {
  return [
    ...[...statusRoutes(context), ...configRoutes(context), ...aclRoutes(context), ...auditRoutes(context)],
    ...[...connectionRoutes(context), ...userRoutes(context), ...userDataRoutes(context), ...limitRoutes(context)],
    ...[...denialRoutes(context), ...slowRoutes(context), ...banRoutes(context), ...drainRoutes(context)],
    ...[...forgetRoutes(context), ...userMetricsRoutes(context), ...accountRoutes(context), ...courseRoutes(context)],
    ...[...traceRoutes(context), ...eventRoutes(context)],
  ];
}
