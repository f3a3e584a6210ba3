import { availableParallelism } from 'node:os';
import { type Audit, openAudit } from '../admin/audit.js';
import { type Doors, openDoors } from '../admin/doors.js';
import type { HealthState } from '../admin/health.js';
import { type Answer, json } from '../admin/route.js';
import type { ReceivedRequest } from '../admin/router.js';
import type { Clock } from '../clock.js';
import type { Config } from '../config/config.js';
import { Fault } from '../errors.js';
import { type CertificateSource, openCertificateSource } from '../listener/certificate-source.js';
import type { Log } from '../observe/log.js';
import { proxyFiles } from './haproxy-config.js';
import { type ProxyProcess, startProxy } from './haproxy-process.js';
import { worstState } from './merge.js';
import { mergeMetrics } from './merge-metrics.js';
import { Relay } from './relay.js';
import { Shard } from './shard.js';
import { frontPem, writeProxyFiles } from './write-files.js';

const STANDBY_FIRST_MS = 1_000;

export interface SupervisorOptions {
  readonly config: Config;
  /** What Node.js runs as the broker of a shard. */
  readonly shardArgs: (shard: number) => readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
  readonly clock: Clock;
}

/**
 * The brokers of all shards of this machine, and HAProxy before them: started in this order, and each started again when
 * it ends by itself. Nothing that a client sends passes through this process.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #shards: readonly Shard[];
  readonly #startedAtMs: number;
  readonly #audit: Audit;
  #proxy: ProxyProcess | null = null;
  #certificates: CertificateSource | null = null;
  #doors: Doors | null = null;
  #starting: Promise<void> = Promise.resolve();
  #stopping = false;
  #stopped: Promise<void> | null = null;
  #drained = false;
  #restarting: Promise<void> | null = null;

  constructor(options: SupervisorOptions) {
    const { config, shardArgs, env, log, clock } = options;
    this.#options = options;
    this.#startedAtMs = clock.monotonicMs();
    this.#audit = openAudit(config.admin.auditFile, { clock, log: log.child({ part: 'admin' }) });
    const { cluster, limits } = config;
    const common = {
      ...{ env, log, clock, stopTimeoutMs: limits.stopTimeoutMs },
      // Its standby takes over meanwhile, and has better use for the processors.
      leastPauseMs: cluster.machines.length > 1 ? STANDBY_FIRST_MS : 0,
    };
    this.#shards = Array.from(
      { length: cluster.shards },
      (_, shard) => new Shard({ ...common, shard, args: shardArgs(shard) }),
    );
  }

  /** Rejects, too, when it is stopped meanwhile. */
  async start(): Promise<void> {
    this.#starting = this.#begin();
    try {
      await this.#starting;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async #begin(): Promise<void> {
    const { config, env, log, clock } = this.#options;
    const { cert, key, ca } = config.listener;
    this.#certificates = await openCertificateSource({
      ...{ files: { cert, key, ca }, log, clock },
      onChange: (pair) => void this.#showCertificate(frontPem(pair)),
    });
    const files = proxyFiles(config.cluster.proxy.folder);
    await writeProxyFiles(config, files, frontPem(this.#certificates.pair()), availableParallelism());
    this.#doors = await openDoors({
      ...{ config: config.admin, log, clock, audit: this.#audit },
      answerer: new Relay(this.#shards, this.#audit, (received) => this.#answer(received)),
      health: () => this.#health(),
      ready: () => !this.#stopping && !this.#drained && this.#shards.some(({ serving, standby }) => serving || standby),
      metrics: (accept) => this.#metrics(accept),
    });
    this.#refuseWhenStopped();
    await Promise.all(this.#shards.map((shard) => shard.start()));
    this.#refuseWhenStopped();
    this.#proxy = await startProxy({ files, env, log, clock });
    this.#refuseWhenStopped();
    const standby = this.#shards.filter((shard) => shard.standby).length;
    const counts = { shards: this.#shards.length, ...(standby > 0 && { standby }), port: config.listener.port };
    log.info(counts, standby > 0 ? 'all shards serve or stand by' : 'all shards serve');
  }

  #refuseWhenStopped(): void {
    if (this.#stopping) throw new Fault('E_STOPPED', 'it was stopped while it started');
  }

  /** Also while it starts, which takes as long as there is no database. */
  stop(): Promise<void> {
    this.#stopped ??= this.#end();
    return this.#stopped;
  }

  /** The shards go first: they say goodbye to their clients, through HAProxy. */
  async #end(): Promise<void> {
    this.#stopping = true;
    // Ctrl-C ends all of them at once.
    this.#proxy?.letGo();
    await Promise.all(this.#shards.map((shard) => shard.stop()));
    await this.#starting.catch(() => {});
    this.#certificates?.close();
    await this.#proxy?.stop();
    await this.#doors?.close();
    await this.#audit.close();
    this.#options.log.info('all shards stopped');
  }

  async reload(): Promise<void> {
    for (const shard of this.#shards) shard.signal('SIGHUP');
    await this.#certificates?.reload();
  }

  /** One shard after the other, each when the one before it serves again. */
  async restartInTurn(): Promise<void> {
    for (const shard of this.#shards) {
      if (this.#stopping) return;
      this.#options.log.info({ shard: shard.number }, 'the shard is restarted');
      await shard.restart();
    }
    // Nobody is sent away from here any more.
    this.#drained = false;
  }

  /** What is about the shards and not about what they do. */
  async #answer({ method, url }: ReceivedRequest): Promise<Answer | null> {
    const { pathname } = new URL(url, 'http://localhost');
    if (method === 'POST' && pathname === '/v1/drain') this.#drained = true;
    // What clients are shown is HAProxy's.
    if (method === 'POST' && pathname === '/v1/certificates/reload') void this.#certificates?.reload();
    if (method === 'POST' && pathname === '/v1/shards/restart') {
      this.#restarting ??= this.restartInTurn().finally(() => {
        this.#restarting = null;
      });
      this.#restarting.catch((err) =>
        this.#options.log.error({ err }, 'a shard does not start: it is tried again, and the others stay as they are'),
      );
      return json({ restarting: this.#shards.length });
    }
    if (method !== 'GET' || pathname !== '/v1/shards') return null;
    // Whether one is frozen is found out by asking.
    await Promise.all(this.#shards.map((shard) => shard.health()));
    const shards = this.#shards.map(({ number: shard, pid, serving, silent, standby, since }) => ({
      ...{ shard, pid, serving, silent, standby, since },
    }));
    return json({ shards, proxy: this.#proxy?.pid ?? null, restarting: this.#restarting !== null });
  }

  async #showCertificate(pem: string): Promise<void> {
    try {
      await this.#proxy?.useCertificate(pem);
    } catch (err) {
      this.#options.log.error({ err }, 'HAProxy could not be given the new certificate: the old one stays');
    }
  }

  async #health(): Promise<HealthState> {
    const uptime = Math.floor((this.#options.clock.monotonicMs() - this.#startedAtMs) / 1_000);
    // A standby is as it should be, and has nothing to tell.
    const asked = this.#shards.filter(({ standby }) => !standby);
    const healths = await Promise.all(asked.map((shard) => shard.health()));
    const heard = healths.filter((health) => health !== null);
    const words = (of: (health: HealthState) => string) =>
      [...new Set(heard.map(of))].filter((word) => word !== 'ok').join(', ') || 'ok';
    const all = heard.length === healths.length;
    return {
      status: this.#stopping
        ? 'stopping'
        : all
          ? (worstState(['ok', ...heard.map(({ status }) => status)]) as 'ok')
          : 'failing',
      uptime,
      connections: heard.reduce((sum, { connections }) => sum + connections, 0),
      store: all ? words(({ store }) => store) : 'E_SHARD_DOWN',
      credentials: words(({ credentials }) => credentials),
    };
  }

  async #metrics(accept: string): Promise<Answer> {
    const answers = await Promise.all(this.#shards.map((shard) => shard.metrics(accept)));
    const texts = answers.filter((answer) => answer.kind === 'text');
    const byShard = new Map(
      answers.flatMap((answer, shard): [string, string][] =>
        answer.kind === 'text' ? [[`${shard}`, answer.text]] : [],
      ),
    );
    const gauge = (name: string, of: (shard: Shard) => boolean) => {
      const samples = this.#shards.map((shard) => `${name}{shard="${shard.number}"} ${of(shard) ? 1 : 0}\n`);
      return `# TYPE ${name} gauge\n${samples.join('')}`;
    };
    const own =
      gauge('iotlab_broker_shard_up', ({ serving, silent }) => serving && !silent) +
      gauge('iotlab_broker_shard_standby', ({ standby }) => standby);
    const type = texts[0]?.type ?? 'text/plain; version=0.0.4; charset=utf-8';
    return { kind: 'text', type, text: mergeMetrics(byShard, own) };
  }
}
