import { compileNamed, Membership, type Person } from '../acl/people.js';
import type { GroupConfig, LimitsConfig, UserLimitsConfig } from '../config/config.js';

/** The limits that may be others for some users. */
export const userLimitNames = [
  ...(['connectionsPerUser', 'sessionsPerUser', 'subscriptionsPerUser'] as const),
  ...(['queuedMessagesPerUser', 'queuedBytesPerUser'] as const),
  ...(['retainedMessagesPerUser', 'retainedBytesPerUser', 'memoryPerUser'] as const),
  ...(['messagesInPerSecond', 'bytesInPerSecond', 'messagesOutPerSecond', 'bytesOutPerSecond', 'burstMs'] as const),
] as const;

export type UserLimitName = (typeof userLimitNames)[number];
export type UserLimits = Readonly<Pick<LimitsConfig, UserLimitName>>;

/** What an operator decided for one user. */
export interface LimitOverride {
  readonly limits: Readonly<Partial<UserLimits>>;
  /** Dates, in milliseconds since 1970. `until` null: until it is taken back. */
  readonly since: number;
  readonly until: number | null;
  readonly reason: string;
}

export interface LimitRulesConfig {
  readonly limits: LimitsConfig;
  readonly userLimits: readonly UserLimitsConfig[];
  readonly groups: readonly GroupConfig[];
}

interface Row {
  readonly isFor: (person: Person) => boolean;
  readonly limits: Readonly<Partial<UserLimits>>;
}

/**
 * Which limits each user has: those of the configuration, by its rows, and over them what operators have decided. Pure
 * but for these decisions.
 */
export class LimitRules {
  #general: UserLimits;
  #rows: readonly Row[];
  #members: Membership;
  readonly #overrides = new Map<string, LimitOverride>();

  constructor({ limits, userLimits, groups }: LimitRulesConfig) {
    this.#general = limits;
    this.#rows = userLimits.map((row) => ({ isFor: compileNamed(row), limits: row }));
    this.#members = new Membership(groups);
  }

  /** Another configuration from now on. */
  use(config: LimitRulesConfig): void {
    const other = new LimitRules(config);
    this.#general = other.#general;
    this.#rows = other.#rows;
    this.#members = other.#members;
  }

  /** `groups`: those that the credential backend told of. */
  of(login: string, groups: readonly string[]): UserLimits {
    const person = this.#members.person(login, groups);
    const rows = this.#rows.filter((row) => row.isFor(person)).map(({ limits }) => limits);
    const decided = this.#overrides.get(login)?.limits ?? {};
    const limits = userLimitNames.map((name) => {
      const found = [decided, ...rows].find((each) => each[name] !== undefined) ?? this.#general;
      return [name, found[name]];
    });
    return Object.fromEntries(limits) as UserLimits;
  }

  overrideOf(login: string): LimitOverride | null {
    return this.#overrides.get(login) ?? null;
  }

  overrides(): Iterable<readonly [login: string, override: LimitOverride]> {
    return this.#overrides;
  }

  /** Null takes it back. */
  setOverride(login: string, override: LimitOverride | null): void {
    if (override === null) this.#overrides.delete(login);
    else this.#overrides.set(login, override);
  }
}
