import { compileNamed, Membership, type Person } from '../acl/people.js';
import type { GroupConfig, LimitsConfig, UserLimitsConfig } from '../config/config.js';
import { groupKey, groupSubject } from '../group-name.js';

/** The limits that may be others for some users. */
export const userLimitNames = [
  ...(['connectionsPerUser', 'sessionsPerUser', 'subscriptionsPerUser'] as const),
  ...(['queuedMessagesPerUser', 'queuedBytesPerUser'] as const),
  ...(['retainedMessagesPerUser', 'retainedBytesPerUser', 'memoryPerUser'] as const),
  ...(['messagesInPerSecond', 'bytesInPerSecond', 'messagesOutPerSecond', 'bytesOutPerSecond', 'burstMs'] as const),
] as const;

export type UserLimitName = (typeof userLimitNames)[number];
export type UserLimits = Readonly<Pick<LimitsConfig, UserLimitName>>;

/** More decisions at a time would be a list of somebody's making. */
export const MOST_DECISIONS = 10_000;
/** What one takes besides its texts. */
const BYTES_PER_DECISION = 600;

/** What an operator decided for one user, or one group. */
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
  #named: ReadonlySet<string>;
  readonly #overrides = new Map<string, LimitOverride>();
  readonly #balance: { add(bytes: number): void };

  /** `balance` is told what is kept of decisions. */
  constructor({ limits, userLimits, groups }: LimitRulesConfig, balance: { add(bytes: number): void }) {
    this.#balance = balance;
    this.#general = limits;
    this.#rows = userLimits.map((row) => ({ isFor: compileNamed(row), limits: row }));
    this.#members = new Membership(groups);
    this.#named = new Set(userLimits.flatMap((row) => row.groups ?? []).map(groupKey));
  }

  /** Another configuration from now on. */
  use(config: LimitRulesConfig): void {
    const other = new LimitRules(config, this.#balance);
    this.#general = other.#general;
    this.#rows = other.#rows;
    this.#members = other.#members;
    this.#named = other.#named;
  }

  /** `groups`: those that the credential backend told of. */
  of(login: string, groups: readonly string[]): UserLimits {
    const person = this.#members.person(login, groups);
    const rows = this.#rows.filter((row) => row.isFor(person)).map(({ limits }) => limits);
    const decided = [...this.decidedFor(login, groups)].map(([, { limits }]) => limits);
    const limits = userLimitNames.map((name) => {
      const found = [...decided, ...rows].find((each) => each[name] !== undefined) ?? this.#general;
      return [name, found[name]];
    });
    return Object.fromEntries(limits) as UserLimits;
  }

  /** The decisions that are in force for a user, the one that counts first first: his own, then those for his groups. */
  *decidedFor(
    login: string,
    groups: readonly string[],
  ): Generator<readonly [subject: string, override: LimitOverride]> {
    if (this.#overrides.size === 0) return;
    const own = this.#overrides.get(login);
    if (own !== undefined) yield [login, own];
    for (const group of this.#members.person(login, groups).groups) {
      const subject = groupSubject(group);
      const override = this.#overrides.get(subject);
      if (override !== undefined) yield [subject, override];
    }
  }

  /** All groups of a user: the configuration's, and `told`. */
  groupsOf(login: string, told: readonly string[]): string[] {
    return [...this.#members.person(login, told).groups].sort();
  }

  /** Does the configuration name this group, where it says who belongs to it or whom a limit is for? */
  namesGroup(group: string): boolean {
    const key = groupKey(group);
    return this.#members.has(key) || this.#named.has(key);
  }

  /** `subject`: a login, or a `groupSubject`. */
  overrideOf(subject: string): LimitOverride | null {
    return this.#overrides.get(subject) ?? null;
  }

  overrides(): Iterable<readonly [subject: string, override: LimitOverride]> {
    return this.#overrides;
  }

  /** Null takes it back. */
  setOverride(subject: string, override: LimitOverride | null): void {
    const before = this.#overrides.get(subject);
    if (before !== undefined) this.#balance.add(-bytesOf(subject, before));
    if (override === null) this.#overrides.delete(subject);
    else {
      this.#overrides.set(subject, override);
      this.#balance.add(bytesOf(subject, override));
    }
  }
}

const bytesOf = (subject: string, { reason }: LimitOverride): number =>
  BYTES_PER_DECISION + 2 * (subject.length + reason.length);
