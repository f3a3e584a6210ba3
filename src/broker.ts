import { setImmediate as nextTurn } from 'node:timers/promises';
import { compileAcl } from './acl/acl.js';
import type { BrokerSeams } from './broker-seams.js';
import { type Clock, systemClock } from './clock.js';
import type { Config } from './config/config.js';
import { type CredentialGuard, createCredentialGuard } from './credentials/guard.js';
import { openBackend } from './credentials/open-backend.js';
import { createRevalidation, type LiveSession } from './credentials/revalidation.js';
import { Hub } from './hub/hub.js';
import { MessageBus } from './hub/message-bus.js';
import { PublishPersistence } from './hub/publish-persistence.js';
import { RetainedQuota } from './hub/retained-quota.js';
import { type Listener, openListener } from './listener/listener.js';
import { type Health, openHealth } from './observe/health.js';
import type { Log } from './observe/log.js';
import { createRateLimited } from './observe/rate-limited.js';
import { Router } from './routing/router.js';
import type { CloseReason } from './session/close-reason.js';
import type { Connection } from './session/connection.js';
import { newCounters, type Services } from './session/services.js';
import { Sessions } from './session/sessions.js';
import { Turn } from './session/turn.js';
import { publishWill } from './session/will.js';
import type { Store } from './store/contract.js';
import { openStore } from './store/store.js';

/** How often keepalives and drain deadlines are looked at. */
const TICK_MS = 1_000;
/** How often sessions that nobody came back to are looked for. */
const EXPIRY_PERIOD_MS = 60_000;

export interface Broker {
  /** Resolves when clients can connect. Rejects, with everything closed again, when something is not as it must be. */
  start(): Promise<void>;
  /** Stops accepting, finishes what is in hand, publishes Wills, closes the store. Never takes much longer than asked. */
  stop(): Promise<void>;
  /** Reads certificate, key and CA again. */
  reload(): Promise<void>;
  /** The port in use, once started. */
  readonly port: number;
  /** The admin port in use, once started; null when it is turned off. */
  readonly adminPort: number | null;
  /** Ends the connections of a login, or one of them. Returns how many there were. */
  disconnect(login: string, clientId?: string, reason?: CloseReason): number;
  /** What the parts share, once started: for the test harness and the metrics. */
  readonly services: Services;
}

export interface BrokerOptions extends BrokerSeams {
  readonly log: Log;
  readonly clock?: Clock;
  readonly env?: NodeJS.ProcessEnv;
}

/** Wires the parts together. Nothing is opened before `start`; what is opened is closed in reverse by `stop`. */
export async function createBroker(config: Config, options: BrokerOptions): Promise<Broker> {
  return new ComposedBroker(config, options);
}

class ComposedBroker implements Broker {
  private readonly config: Config;
  private readonly log: Log;
  private readonly clock: Clock;
  private readonly env: NodeJS.ProcessEnv;
  private readonly seams: BrokerSeams;
  private parts: Services | null = null;
  private listener: Listener | null = null;
  private health: Health | null = null;
  private stopping = false;
  private readonly closers: (() => Promise<void> | void)[] = [];

  constructor(config: Config, options: BrokerOptions) {
    this.config = config;
    this.log = options.log;
    this.clock = options.clock ?? systemClock;
    this.env = options.env ?? process.env;
    this.seams = options;
  }

  get port(): number {
    return this.listener?.port ?? 0;
  }

  get adminPort(): number | null {
    return this.health?.port ?? null;
  }

  get services(): Services {
    if (this.parts === null) throw new Error('The broker is not started.');
    return this.parts;
  }

  async start(): Promise<void> {
    try {
      await this.open();
    } catch (error) {
      await this.closeAll();
      throw error;
    }
  }

  private async open(): Promise<void> {
    const { config, log, clock, seams } = this;
    const startedAt = performance.now();
    const acl = compileAcl(config.acl);
    const { openDatabase, certificates } = seams;
    const store = await openStore({ config: config.storage, log, clock, ...(openDatabase && { open: openDatabase }) });
    this.closers.push(() => store.close());
    const backend = seams.backend ?? (await openBackend(config.credentials, { log, clock, env: this.env }));
    const guard = createCredentialGuard({ backend, config: config.credentials, log, clock });
    this.closers.push(() => guard.close());
    const noisyLog = createRateLimited({ clock });
    this.closers.push(() => noisyLog.close());

    const router = new Router();
    const counters = newCounters();
    const { limits } = config;
    const { sessionExpiryMs } = config.storage;
    const sessions = new Sessions({ router, store, acl, clock, limits, sessionExpiryMs, log, noisyLog, counters });
    const quota = new RetainedQuota(limits, log, noisyLog);
    const bus = new MessageBus(router);
    const persistence = new PublishPersistence({ store, bus, router, quota, clock });
    const hub = new Hub({ bus, persistence, store, guard, services: () => this.services });
    const connections = new Set<Connection>();
    const turn = new Turn();
    this.parts = {
      ...{ hub: seams.wrapHub?.(hub) ?? hub, sessions, connections, router, store, acl, turn },
      ...{ clock, limits, log, noisyLog, counters, strangers: { partialBytes: 0 } },
    };

    for (const message of store.retained) quota.added(message);
    for await (const stored of store.loadSessions()) sessions.restore(stored);
    await hub.listen();
    this.closers.push(() => new Promise<void>((resolve) => hub.close(resolve)));
    await this.publishLeftWills(store);

    this.listener = await openListener({
      config: config.listener,
      limits,
      log,
      clock,
      ...(certificates && { certificates }),
      onConnection: (socket, peer) => hub.accept(seams.wrapSocket?.(socket) ?? socket, peer.address),
    });
    this.closers.push(() => this.listener!.close());
    this.watch(guard);
    this.health = await openHealth({
      config: config.admin,
      log,
      clock,
      state: () => ({
        connections: connections.size,
        storeFault: store.fault?.code ?? null,
        credentialsFault: guard.outage ? 'E_CREDENTIALS_UNAVAILABLE' : null,
        stopping: this.stopping,
      }),
      metrics: () => this.metrics(),
    });
    this.closers.push(() => this.health!.close());
    log.info(
      {
        port: this.port,
        backend: config.credentials.backend,
        store: config.storage.path,
        sessions: sessions.size,
        retained: store.retained.size,
        startMs: Math.round(performance.now() - startedAt),
      },
      'broker started',
    );
  }

  async stop(): Promise<void> {
    if (this.stopping) return;
    this.stopping = true;
    this.listener?.stopAccepting();
    if (this.parts !== null) await withDeadline(this.drain(this.parts), this.config.limits.stopTimeoutMs / 2);
    await this.closeAll();
    this.log.info('broker stopped');
  }

  async reload(): Promise<void> {
    await this.listener?.reload();
  }

  disconnect(login: string, clientId?: string, reason: CloseReason = 'kicked'): number {
    const { connections } = this.services;
    const found = [...connections].filter(
      ({ account, session }) => account?.login === login && (clientId === undefined || session?.clientId === clientId),
    );
    for (const connection of found) connection.close(reason);
    return found.length;
  }

  /** Wills of a broker that did not stop in order: published at once, not minutes later. */
  private async publishLeftWills(store: Store): Promise<void> {
    for await (const will of store.loadWills()) {
      publishWill(this.services, will);
      store.deleteWill(will.clientId);
    }
  }

  private watch(guard: CredentialGuard): void {
    const { connections, sessions } = this.services;
    guard.onRevoked((login) => {
      const count = this.disconnect(login, undefined, 'revoked');
      if (count > 0) this.log.info({ login, connections: count }, 'login revoked: its connections were closed');
    });
    const revalidation = createRevalidation({
      ...{ guard, clock: this.clock, log: this.log },
      periodMs: this.config.credentials.revalidateMs,
      sessions: () => liveSessions(connections),
    });
    const cancelTicks = this.clock.every(TICK_MS, () => {
      const now = this.clock.monotonicMs();
      for (const connection of connections) connection.tick(now);
    });
    const cancelExpiry = this.clock.every(EXPIRY_PERIOD_MS, () => sessions.expire());
    this.closers.push(() => {
      revalidation.close();
      cancelTicks();
      cancelExpiry();
    });
  }

  /** What was received is handled and, where it must be, on disk and answered; then every connection ends. */
  private async drain({ store, connections }: Services): Promise<void> {
    await nextTurn();
    await new Promise<void>((resolve) => store.committed(() => resolve()));
    await nextTurn();
    const closed = [...connections].map(({ socket }) => new Promise<void>((resolve) => socket.once('close', resolve)));
    for (const connection of connections) connection.makeWay('broker-stopping');
    await Promise.all(closed);
  }

  private async closeAll(): Promise<void> {
    for (const close of this.closers.splice(0).reverse()) {
      try {
        await withDeadline(close(), this.config.limits.stopTimeoutMs / 2);
      } catch (error) {
        this.log.error({ err: error }, 'a part could not be closed in order');
      }
    }
  }

  private metrics(): Record<string, number> {
    const { counters, sessions, store } = this.services;
    return {
      sessions: sessions.size,
      retained_messages: store.retained.size,
      connections_accepted_total: counters.connectionsAccepted,
      connections_refused_total: counters.connectionsRefused,
      messages_received_total: counters.messagesReceived,
      messages_delivered_total: counters.messagesDelivered,
      messages_dropped_total: counters.messagesDropped,
      publishes_denied_total: counters.publishesDenied,
      subscriptions_denied_total: counters.subscriptionsDenied,
    };
  }
}

function* liveSessions(connections: Iterable<Connection>): Generator<LiveSession> {
  for (const connection of connections) {
    const { account, proof, closed } = connection;
    if (account !== null && !closed) yield { login: account.login, proof, close: (reason) => connection.close(reason) };
  }
}

/** Waits for `work`, but no longer than `timeoutMs`. */
async function withDeadline(work: Promise<void> | void, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([work, deadline]).finally(() => clearTimeout(timer));
}
