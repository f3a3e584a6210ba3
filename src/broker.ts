import { type Acl, compileAcl } from './acl/acl.js';
import { Rulebook } from './acl/rulebook.js';
import type { Admin } from './admin/admin.js';
import { Hub } from './aedes/hub.js';
import type { Broker, BrokerOptions } from './broker-contract.js';
import { commitCounter, countFaults, countingGuard } from './broker-counting.js';
import { openAdminOf, openListenerOf, openWebOf } from './broker-doors.js';
import { drain, untilLeft, withDeadline } from './broker-drain.js';
import type { BrokerParts } from './broker-parts.js';
import { type LiveSettings, Reloading, type ReloadOutcome } from './broker-reload.js';
import type { BrokerSeams } from './broker-seams.js';
import { watch } from './broker-watch.js';
import { type Clock, systemClock } from './clock.js';
import { guardShard } from './cluster/shard-guard.js';
import type { Config } from './config/config.js';
import { Client } from './connection/client.js';
import { Connection } from './connection/connection.js';
import { endClients } from './connection/connections.js';
import type { Arrival } from './connection/newcomer.js';
import { Stranger } from './connection/stranger.js';
import { Bans } from './credentials/bans.js';
import { type CredentialGuard, createCredentialGuard } from './credentials/guard.js';
import { openBackend } from './credentials/open-backend.js';
import type { Revalidation } from './credentials/revalidation.js';
import type { Fault } from './errors.js';
import { Account, OPERATORS } from './fairness/account.js';
import { Ledger } from './fairness/ledger.js';
import { Networks } from './fairness/networks.js';
import { Scheduler } from './fairness/scheduler.js';
import { doorsOf, type Listener } from './listener/listener.js';
import { Counters } from './observe/counters.js';
import type { Family } from './observe/exposition.js';
import { History } from './observe/history.js';
import type { Log } from './observe/log.js';
import { createRateLimited, type RateLimited } from './observe/rate-limited.js';
import { Router } from './routing/router.js';
import { Accounts } from './session/accounts.js';
import type { CloseReason } from './session/close-reason.js';
import { Distribution } from './session/distribution.js';
import { RetainedQuota } from './session/retained-quota.js';
import { RuleChanges } from './session/rule-changes.js';
import type { Session } from './session/session.js';
import { Sessions } from './session/sessions.js';
import { NO_GROUPS } from './session/user-account.js';
import { LimitRules } from './session/user-limits.js';
import { Wills } from './session/will.js';
import type { Store } from './store/contract.js';
import { openPostgres } from './store/postgres/open-postgres.js';
import { openStore } from './store/store.js';
import { acceptTickets } from './web/ticket-guard.js';
import type { Web } from './web/web.js';

export type { Broker, BrokerOptions };

/** Wires the parts together. Nothing is opened before `start`; what is opened is closed in reverse by `stop`. */
export async function createBroker(config: Config, options: BrokerOptions): Promise<Broker> {
  return new ComposedBroker(config, options);
}

/** What it has in memory is of the past: nobody may get any of it. */
function endProcess(fault: Fault): void {
  setImmediate(() => {
    throw fault;
  });
}

class ComposedBroker implements Broker {
  readonly #config: Config;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #env: NodeJS.ProcessEnv;
  readonly #seams: BrokerSeams;
  readonly #ownership: { onStandby(): void; onFenced(fault: Fault): void };
  readonly #counters = new Counters();
  readonly #readConfig: () => Promise<Config>;
  /** What a reload changes, where all parts look. */
  readonly #live: LiveSettings;
  #reloading: Reloading | null = null;
  #parts: BrokerParts | null = null;
  #listener: Listener | null = null;
  #admin: Admin | null = null;
  #web: Web | null = null;
  #stopping = false;
  readonly #closers: (() => Promise<void> | void)[] = [];

  constructor(config: Config, options: BrokerOptions) {
    this.#config = config;
    this.#log = options.log;
    this.#clock = options.clock ?? systemClock;
    this.#env = options.env ?? process.env;
    this.#seams = options;
    this.#ownership = { onStandby: options.onStandby ?? (() => {}), onFenced: options.onFenced ?? endProcess };
    this.#readConfig = options.readConfig ?? (async () => config);
    this.#live = { limits: { ...config.limits }, sessionExpiryMs: config.storage.sessionExpiryMs };
  }

  get port(): number {
    return this.#listener?.port ?? 0;
  }

  get admin(): Admin | null {
    return this.#admin;
  }

  get webPort(): number | null {
    return this.#listener?.webPort ?? null;
  }

  get parts(): BrokerParts {
    if (this.#parts === null) throw new Error('The broker is not started.');
    return this.#parts;
  }

  async start(): Promise<void> {
    try {
      await this.#open();
    } catch (error) {
      await this.#closeAll();
      throw error;
    }
  }

  async #open(): Promise<void> {
    const startedAt = performance.now();
    const log = this.#log;
    const clock = this.#clock;
    const config = this.#config;
    const postgres = await openPostgres(config, { log, clock }, this.#ownership);
    if (postgres !== null) this.#closers.push(() => postgres.close());
    const open = this.#seams.openDatabase ?? postgres?.open;
    const counters = this.#counters;
    const acl = compileAcl(config.acl, config.groups);
    const store = await openStore({
      ...{ config: config.storage, log, clock, ...(open && { open }) },
      onWritten: commitCounter(counters),
    });
    countFaults(store, counters);
    this.#closers.push(() => store.close());
    if (this.#stopping) throw new Error('It was stopped before it had started.');
    const backend = this.#seams.backend ?? (await openBackend(config.credentials, { log, clock, env: this.#env }));
    const unseen = createCredentialGuard({ backend, config: config.credentials, log, clock });
    const guard = countingGuard(guardShard(unseen, config.cluster, log), { counters, clock, backend: backend.name });
    this.#closers.push(() => guard.close());
    const noisyLog = createRateLimited({ clock });
    this.#closers.push(() => noisyLog.close());

    const clientGuard = acceptTickets(guard, (login, ticket) => this.#web?.redeem(login, ticket) ?? null);
    const { sessions, wills } = await this.#wire(store, clientGuard, acl, noisyLog);
    await wills.fireLeft((login, clientId) => sessions.get(login, clientId)?.expiryMs ?? 0);
    sessions.expire();
    await this.parts.scheduler.whenIdle();
    this.parts.accounts.releaseIdle();
    const revalidation = this.#watch(guard);
    // Before the listener: a port that is taken must not cost clients their connections.
    const certificates = () => this.#listener?.certificates() ?? [];
    const doors = { config, limits: this.#live.limits, log, clock, seams: this.#seams, parts: this.parts };
    const admin = await openAdminOf(doors, { guard, certificates, stopping: () => this.#stopping, controls: this });
    this.#admin = admin;
    this.#closers.push(() => admin.close());
    const mqttPort = () => this.port || config.listener.port;
    const isCertified = (name: string) => this.#listener?.isCertified(name) === true;
    this.#web = await openWebOf(doors, { admin, guard, certificates, mqttPort, isCertified });
    this.#closers.push(() => this.#web?.close());
    this.#listener = await openListenerOf(doors, this.#web);
    this.#closers.push(() => this.#listener!.close());
    this.#reloading = new Reloading({
      ...{ config, log, clock, guard, revalidation, read: this.#readConfig, live: this.#live, parts: this.parts },
      ...{ listener: this.#listener, seams: this.#seams, env: this.#env },
      configureWeb: (next) => this.#web?.configure(next),
    });
    log.info(
      {
        ...doorsOf(config.listener, this.#listener),
        backend: config.credentials.backend,
        store: config.storage.url || config.storage.path,
        sessions: sessions.size,
        retained: store.retained.size,
        startMs: Math.round(performance.now() - startedAt),
      },
      'broker started',
    );
  }

  /** Makes what stands between the listener and the store. Every part gets the slice of it that it names. */
  async #wire(store: Store, guard: CredentialGuard, acl: Acl, noisyLog: RateLimited) {
    const live = this.#live;
    const { limits } = live;
    const log = this.#log;
    const clock = this.#clock;
    const counters = this.#counters;
    const scheduler = new Scheduler((error) => log.error({ err: error }, 'a piece of work failed'));
    const ledger = new Ledger(limits);
    const networks = new Networks(ledger);
    const operators = ledger.open(new Account(OPERATORS, ledger));
    const history = new History(clock, operators.balances.history, this.#config.cluster);
    if (this.#seams.historyListener) history.listen(this.#seams.historyListener);
    const bans = await Bans.load(this.#config.admin.bansFile, clock, operators.balances.history);
    const connections = new Set<Connection>();
    const router = new Router();
    const limitRules = new LimitRules({ ...this.#config, limits }, operators.balances.history);
    const balance = operators.balances.history;
    const accounts = new Accounts({ ledger, limitRules, scheduler, clock, store, log, noisyLog, counters, balance });
    const account = (login: string) => accounts.open(login);
    const rules = new Rulebook(acl, (login) => accounts.known(login)?.groups ?? NO_GROUPS);
    const common = { limits, log, noisyLog, clock, counters, history, store, router, scheduler, accounts, account };

    const quota = new RetainedQuota(common);
    const distribution = new Distribution({ ...common, quota });
    const hub = new Hub({
      ...{ guard, rules, log },
      connect: (socket, address, transport) =>
        new Connection(
          { ...common, networks, connections },
          socket,
          { address, transport },
          (connection, network) => new Stranger(strangers, connection, network),
        ),
    });
    hub.join(distribution, account);
    if (this.#seams.onPublication) distribution.onPublication(this.#seams.onPublication);
    const wills = new Wills({ ...common, gate: hub, distribution });
    const sessions = new Sessions({
      ...{ ...common, gate: hub, onEnded: (session: Session) => wills.ended(session) },
      get sessionExpiryMs() {
        return live.sessionExpiryMs;
      },
    });
    const ruleChanges = new RuleChanges({ ...common, rules, sessions, gate: hub });
    const clients = { ...common, gate: hub, registry: hub, sessions, distribution, wills };
    const strangers = {
      ...{ ...common, registry: hub, sessions, ruleChanges, wills, bans },
      admit: (arrival: Arrival) => new Client(clients, arrival),
    };

    for await (const [login, user] of store.loadUsers()) accounts.restore(login, user);
    distribution.restoreRetained();
    for await (const stored of store.loadSessions()) sessions.restore(stored);
    await hub.listen();
    this.#closers.push(() => new Promise<void>((resolve) => hub.close(resolve)));
    this.#parts = {
      ...{ limits, hub, connections, accounts, sessions, store, distribution, counters, scheduler, ledger, networks },
      ...{ rules, ruleChanges, limitRules, wills, history, operators, bans },
    };
    return { sessions, wills };
  }

  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#listener?.stopAccepting();
    if (this.#parts !== null) await untilLeft(this.#parts, this.#config.cluster);
    if (this.#parts !== null) await withDeadline(drain(this.#parts), this.#live.limits.stopTimeoutMs / 2);
    await this.#closeAll();
    this.#log.info('broker stopped');
  }

  metrics(): Promise<readonly Family[]> {
    if (this.#admin === null) throw new Error('The broker is not started.');
    return this.#admin.families();
  }

  reloadCertificates = async (): Promise<void> => await this.#listener?.reload();

  async reload({ dryRun = false } = {}): Promise<ReloadOutcome> {
    if (this.#reloading === null) throw new Error('The broker is not started.');
    if (!dryRun) await this.reloadCertificates();
    return await this.#reloading.reload(dryRun);
  }

  disconnect(login: string, clientId?: string, reason: CloseReason = 'kicked'): number {
    return endClients(this.parts, reason, login, clientId);
  }

  #watch(guard: CredentialGuard): Revalidation {
    const { revalidation, close } = watch({
      ...{ guard, parts: this.parts, clock: this.#clock, log: this.#log },
      revalidateMs: this.#config.credentials.revalidateMs,
      disconnect: (login) => {
        this.#web?.revoke(login);
        return this.disconnect(login, undefined, 'revoked');
      },
      browsers: () => this.#web?.logins() ?? [],
    });
    this.#closers.push(close);
    return revalidation;
  }

  async #closeAll(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) {
      try {
        await withDeadline(close(), this.#live.limits.stopTimeoutMs / 2);
      } catch (error) {
        this.#log.error({ err: error }, 'a part could not be closed in order');
      }
    }
  }
}
