import { compileAcl } from './acl/acl.js';
import type { BrokerParts } from './broker-parts.js';
import type { BrokerSeams } from './broker-seams.js';
import type { Clock } from './clock.js';
import { type Changes, changesOf, inForce } from './config/changes.js';
import type { Config, LimitsConfig, WebConfig } from './config/config.js';
import type { CredentialGuard } from './credentials/guard.js';
import { openBackend } from './credentials/open-backend.js';
import type { Revalidation } from './credentials/revalidation.js';
import { openCertificateSource } from './listener/certificate-source.js';
import type { Listener } from './listener/listener.js';
import { type Log, setLogLevel } from './observe/log.js';

/** What a reload of the configuration did, or would do. */
export interface ReloadOutcome {
  /** Keys that have another value, which is in force now. */
  readonly applied: readonly string[];
  /** Keys that have another value, which needs a restart. */
  readonly needsRestart: readonly string[];
  /** Users whose access rules are others now. */
  readonly users: number;
  /** Of theirs: what the rules deny now. */
  readonly subscriptionsEnded: number;
  readonly messagesDropped: number;
}

export interface LiveSettings {
  readonly limits: LimitsConfig;
  sessionExpiryMs: number;
}

export interface ReloadOptions {
  /** What is in force at the start. */
  readonly config: Config;
  /** Reads and checks the configuration anew. Throws `UsageError`. */
  readonly read: () => Promise<Config>;
  /** What all parts read these settings from: other values are put into these very objects. */
  readonly live: LiveSettings;
  readonly parts: BrokerParts;
  readonly guard: CredentialGuard;
  readonly revalidation: Revalidation;
  readonly listener: Listener;
  /** What browsers may, from now on. */
  readonly configureWeb: (config: WebConfig) => void;
  /** What a test put in the place of a part is not replaced. */
  readonly seams: BrokerSeams;
  readonly log: Log;
  readonly clock: Clock;
  readonly env: NodeJS.ProcessEnv;
}

/** One part's share of a reload. What may fail was done when it was made; this does not. */
interface Step {
  apply(): void;
  /** Another part refused: nothing is applied. */
  discard(): Promise<void> | void;
}

/** Has a running broker take over what it can of its configuration: all of it or nothing, and nobody is disconnected. */
export class Reloading {
  readonly #options: ReloadOptions;
  #config: Config;
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: ReloadOptions) {
    this.#options = options;
    this.#config = options.config;
  }

  /** One at a time. Throws `UsageError` when the new configuration cannot be used; then nothing has changed. */
  reload(dryRun: boolean): Promise<ReloadOutcome> {
    const done = this.#running.then(() => this.#reload(dryRun));
    this.#running = done.catch((error) => {
      if (dryRun) return;
      this.#options.parts.counters.configReloads.add('failure');
      this.#options.log.error({ err: error }, 'the configuration cannot be used: nothing of it is in force');
    });
    return done;
  }

  async #reload(dryRun: boolean): Promise<ReloadOutcome> {
    const { read, log, clock, parts, guard } = this.#options;
    const next = await read();
    if (!dryRun) await guard.refresh();
    const changes = changesOf(this.#config, next);
    const steps = await this.#prepare(changes, next);
    const outcome = { applied: changes.live, needsRestart: changes.atStart };
    const otherRules = touches(changes, 'acl', 'groups') ? compileAcl(next.acl, next.groups) : null;
    if (dryRun) {
      for (const step of steps) await step.discard();
      return { ...outcome, ...ended(otherRules === null ? nobody : await parts.ruleChanges.preview(otherRules)) };
    }
    for (const step of steps) step.apply();
    this.#config = inForce(this.#config, next);
    parts.counters.configReloads.add('success');
    parts.counters.configLoadedAt = clock.epochMs();
    const rules = otherRules === null ? nobody : await parts.ruleChanges.use(otherRules);
    log.info(outcome, 'configuration read again');
    if (changes.atStart.length > 0) log.warn({ keys: changes.atStart }, 'these keys need a restart');
    return { ...outcome, ...ended(rules) };
  }

  /** Makes everything that may fail, without touching what is in force. */
  async #prepare(changes: Changes, next: Config): Promise<Step[]> {
    // Rules that cannot be compiled are refused here.
    compileAcl(next.acl, next.groups);
    const steps: Step[] = [];
    try {
      if (touches(changes, 'listener.cert', 'listener.key', 'listener.ca')) steps.push(await this.#certificates(next));
      if (touches(changes, 'credentials')) steps.push(await this.#credentials(changes, next));
      if (touches(changes, 'limits', 'userLimits', 'groups', 'storage')) steps.push(this.#limits(next));
      if (touches(changes, 'web')) steps.push(this.#web(next));
      if (touches(changes, 'log.level')) steps.push(this.#logLevel(next));
    } catch (error) {
      for (const step of steps) await step.discard();
      throw error;
    }
    return steps;
  }

  async #certificates({ listener: { cert, key, ca } }: Config): Promise<Step> {
    const { listener, seams, log, clock } = this.#options;
    if (seams.certificates !== undefined) return { apply() {}, discard() {} };
    const source = await openCertificateSource({ files: { cert, key, ca }, log, clock });
    return { apply: () => listener.useCertificates(source), discard: () => source.close() };
  }

  async #credentials(changes: Changes, { credentials }: Config): Promise<Step> {
    const { guard, revalidation, seams, log, clock, env } = this.#options;
    const other = touches(changes, 'credentials.file', 'credentials.ldap', 'credentials.api');
    // Another kind of backend needs a restart: what is asked now is still one of the kind that is in force.
    const settings = { ...credentials, backend: this.#config.credentials.backend };
    const backend = other && seams.backend === undefined ? await openBackend(settings, { log, clock, env }) : undefined;
    return {
      apply() {
        guard.configure(credentials, backend);
        revalidation.every(credentials.revalidateMs);
      },
      discard: () => backend?.close(),
    };
  }

  #limits(next: Config): Step {
    const { live, parts, listener } = this.#options;
    const { limits } = live;
    return {
      apply() {
        Object.assign(limits, next.limits);
        live.sessionExpiryMs = next.storage.sessionExpiryMs;
        parts.ledger.setLimits(limits);
        parts.accounts.useLimits({ limits, userLimits: next.userLimits, groups: next.groups });
        listener.limitsChanged();
      },
      discard() {},
    };
  }

  #web({ web }: Config): Step {
    return { apply: () => this.#options.configureWeb(web), discard() {} };
  }

  #logLevel({ log: { level } }: Config): Step {
    return { apply: () => setLogLevel(this.#options.log, level), discard() {} };
  }
}

type RuleChange = Awaited<ReturnType<BrokerParts['ruleChanges']['use']>>;

const nobody: RuleChange = { users: 0, subscriptions: 0, messages: 0 };

function ended({ users, subscriptions: subscriptionsEnded, messages: messagesDropped }: RuleChange) {
  return { users, subscriptionsEnded, messagesDropped };
}

/** Is one of these keys, or one below, among those that a running broker takes over? */
function touches({ live }: Changes, ...keys: readonly string[]): boolean {
  return live.some((changed) => keys.some((key) => changed === key || changed.startsWith(`${key}.`)));
}
