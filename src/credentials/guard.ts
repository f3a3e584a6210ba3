import type { Clock } from '../clock.js';
import type { CredentialsConfig } from '../config/config.js';
import type { Fault } from '../errors.js';
import { networkOf } from '../network.js';
import type { Log } from '../observe/log.js';
import type { Accepted } from './accepted-cache.js';
import type { CredentialBackend, LookedUp, RefusalReason, Verdict } from './backend.js';
import { createLoginRule, type PresentedCredentials, readCredentials } from './login.js';
import { type Answer, Questions } from './questions.js';
import { LoginThrottle } from './throttle.js';
import { Verdicts } from './verdicts.js';

/** A connection that is let in. */
export interface Admitted {
  readonly closed: boolean;
  close(reason: 'revoked' | 'logged-out'): void;
}

export type AuthOutcome =
  | {
      readonly kind: 'accepted';
      readonly login: string;
      readonly proof: unknown;
      /** Those that the backend knows of. */
      readonly groups: readonly string[];
      /** From memory, since the backend is out: not checked now. */
      readonly stale: boolean;
      /** From memory: the backend was not asked for it. */
      readonly remembered: boolean;
      /** Is told of the connection that it lets in, where that is to end with something else. */
      readonly onAdmitted?: (connection: Admitted) => void;
    }
  | { readonly kind: 'refused'; readonly reason: RefusalReason }
  /** Nobody could say; never to be shown as a wrong password. */
  | {
      readonly kind: 'unavailable';
      readonly error: Fault;
      /** For the log: the backend is in trouble, there are only too many who want to log in, or another broker serves them. */
      readonly reason: 'backend-unavailable' | 'too-many-logins' | 'other-shard';
    };

/** What stands between the connections and a credential backend; the backend may be slow, down, or under attack. */
export interface CredentialGuard {
  /** Answers within `credentials.timeoutMs`, whatever the backend does. Never rejects. */
  authenticate(presented: {
    readonly login: string | undefined;
    readonly password: Buffer | undefined;
    readonly address: string;
  }): Promise<AuthOutcome>;
  /** Asks again about a live session; `unknown` (an outage) must disconnect nobody. Never rejects. */
  revalidate(login: string, proof: unknown): Promise<'entitled' | 'revoked' | 'unknown'>;
  /** Whether the backend gave no answer when it was last asked: those who are not remembered cannot log in. */
  readonly outage: boolean;
  /** Calls back with each login whose live sessions have to go. */
  onRevoked(listener: (login: string) => void): void;
  /** Calls back with a login and its groups when the backend says, without a login, what they are now. */
  onGroups(listener: (login: string, groups: readonly string[]) => void): void;
  /**
   * Other settings from now on, and perhaps another backend of the same kind: who is in stays in, and is asked about there
   * from now on. What was counted against guessing stays counted.
   */
  configure(config: GuardConfig, backend?: CredentialBackend): void;
  /** The account of a login may have changed: what is remembered of its passwords is forgotten, and it is looked at now. */
  recheck(login: string): Promise<void>;
  /** What the backend knows of a login without its password; nulls where it cannot tell, or does not answer. Never rejects. */
  lookUp(login: string): Promise<LookedUp>;
  /** The first `most` logins that contain this; of a backend that cannot list its users, the one that is this. */
  find(part: string, most: number): Promise<readonly string[]>;
  /** Looks now whether accounts have changed, where the backend keeps a copy of them. */
  refresh(): Promise<void>;
  /** Calls off what is being asked and closes the backend. */
  close(): Promise<void>;
}

export type GuardConfig = Pick<CredentialsConfig, 'loginPattern' | 'timeoutMs' | 'concurrency' | 'cache' | 'throttle'>;

/** One attempt to log in. */
interface Attempt {
  readonly presented: PresentedCredentials;
  readonly network: string;
  readonly key: string;
  /** By then it has to be answered. */
  readonly untilMs: number;
}

export function createCredentialGuard(options: {
  readonly backend: CredentialBackend;
  readonly config: GuardConfig;
  readonly log: Log;
  readonly clock: Clock;
}): CredentialGuard {
  const { clock } = options;
  let { backend, config } = options;
  const log = options.log.child({ part: 'credentials' });
  let isLogin = createLoginRule(config.loginPattern);
  const throttle = new LoginThrottle(config.throttle, clock);
  const width = () => Math.min(config.concurrency, backend.concurrency ?? Number.POSITIVE_INFINITY);
  const questions = new Questions({ backend: backend.name, timeoutMs: config.timeoutMs, width: width(), log, clock });
  const verdicts = new Verdicts({ backend, questions, isLogin, config, log, clock, onRefusedAfterAll: revoke });
  const revalidations = new Map<unknown, { login: string; answer: Promise<Answer<boolean>> }>();
  const listeners: ((login: string) => void)[] = [];
  const groupListeners: ((login: string, groups: readonly string[]) => void)[] = [];
  let throttledToldMs = Number.NEGATIVE_INFINITY;

  function revoke(login: string): void {
    verdicts.revoke(login);
    for (const listener of listeners) listener(login);
  }
  function regroup(login: string, groups: readonly string[]): void {
    verdicts.regroup(login, groups);
    for (const listener of groupListeners) listener(login, groups);
  }

  /** One that is not asked any more has nothing to say. */
  function listenTo(source: CredentialBackend): void {
    source.onRevoked((login) => source === backend && revoke(login));
    source.onGroups?.((login, groups) => source === backend && regroup(login, groups));
  }
  listenTo(backend);
  /** Former backends that may still have a question. */
  const leaving = new Set<CredentialBackend>();

  async function closeFormer(former: CredentialBackend): Promise<void> {
    if (leaving.delete(former)) await former.close();
  }

  /** Also who is entitled may belong elsewhere by now; no answer changes nothing. */
  async function askForGroups(login: string): Promise<void> {
    if (backend.groupsOf === undefined) return;
    const heard = await questions.askAboutSession(login, (signal) => backend.groupsOf!(login, signal));
    if ('value' in heard) regroup(login, heard.value);
  }

  function fromMemory(known: Accepted, stale: boolean): AuthOutcome {
    if (stale) {
      const ageMs = clock.monotonicMs() - known.atMs;
      log.info({ login: known.login, ageMs }, 'accepted from memory: the credential backend does not answer');
    }
    const { login, proof, groups } = known;
    return { kind: 'accepted', login, proof, groups, stale, remembered: true };
  }

  /** For a password that was right lately: no guess, so neither throttled nor counted. */
  async function askAboutKnown({ key, presented, network, untilMs }: Attempt): Promise<AuthOutcome> {
    const asker = { network, login: presented.login, known: true };
    const known = verdicts.acceptedEarlier(key);
    if (known !== undefined && questions.outage) {
      // Nobody waits for an outage to be confirmed again. Should the backend be back, its answer counts after all.
      verdicts.askInPassing(key, presented, asker, known.login);
      return fromMemory(known, true);
    }
    const heard = await verdicts.ask(key, presented, asker, untilMs);
    if ('value' in heard) {
      throttle.settled(network, presented.login, key, heard.value.accepted ? 'right' : 'wrong');
      return outcomeOf(heard.value);
    }
    // It may have been revoked while nobody answered.
    const still = verdicts.acceptedEarlier(key);
    return still === undefined ? unavailable(heard.fault) : fromMemory(still, true);
  }

  async function askAboutGuess({ key, presented, network, untilMs }: Attempt): Promise<AuthOutcome> {
    const { login } = presented;
    if (!(await throttle.admit(network, login, key, untilMs - clock.monotonicMs()))) {
      tellThrottled(login, network);
      return { kind: 'refused', reason: 'throttled' };
    }
    const reason = verdicts.refused(key);
    if (reason !== undefined) {
      throttle.settled(network, login, key, 'wrong');
      return { kind: 'refused', reason };
    }
    const heard = await verdicts.ask(key, presented, { network, login, known: false }, untilMs);
    if ('fault' in heard) {
      throttle.settled(network, login, key, 'unknown');
      return unavailable(heard.fault);
    }
    throttle.settled(network, login, key, heard.value.accepted ? 'right' : 'wrong');
    return outcomeOf(heard.value);
  }

  /** Under attack this could be a line per attempt; one a second tells as much. */
  function tellThrottled(login: string, network: string): void {
    if (clock.monotonicMs() - throttledToldMs < 1_000) return;
    throttledToldMs = clock.monotonicMs();
    log.warn({ login, address: network }, 'too many wrong passwords: refused without asking the backend');
  }

  return {
    async authenticate({ login, password, address }) {
      const untilMs = clock.monotonicMs() + config.timeoutMs;
      const presented = readCredentials(
        login,
        password,
        (name) => isLogin(name) || backend.acceptsLogin?.(name) === true,
      );
      if ('reason' in presented) return { kind: 'refused', reason: presented.reason };
      const attempt = { presented, network: networkOf(address), key: verdicts.keyOf(presented), untilMs };
      const fresh = verdicts.accepted(attempt.key);
      if (fresh !== undefined) {
        throttle.right(attempt.network, presented.login, attempt.key);
        return fromMemory(fresh, false);
      }
      const wasRight = throttle.wasRight(attempt.key) || verdicts.acceptedEarlier(attempt.key) !== undefined;
      return wasRight ? askAboutKnown(attempt) : askAboutGuess(attempt);
    },

    async revalidate(login, proof) {
      let asked = revalidations.get(proof);
      if (asked === undefined || asked.login !== login) {
        const answer = questions.askAboutSession(login, (signal) => backend.revalidate(login, proof, signal));
        asked = { login, answer };
        revalidations.set(proof, asked);
        const mine = asked;
        void answer.then(() => revalidations.get(proof) === mine && revalidations.delete(proof));
      }
      const heard = await asked.answer;
      if ('fault' in heard) return 'unknown';
      if (heard.value) {
        await askForGroups(login);
        return 'entitled';
      }
      verdicts.forget(login);
      return 'revoked';
    },

    get outage() {
      return questions.outage;
    },

    onRevoked(listener) {
      listeners.push(listener);
    },

    onGroups(listener) {
      groupListeners.push(listener);
    },

    configure(next, other = backend) {
      const former = backend;
      config = next;
      backend = other;
      isLogin = createLoginRule(config.loginPattern);
      throttle.configure(config.throttle);
      questions.configure({ timeoutMs: config.timeoutMs, width: width() });
      verdicts.configure(backend, isLogin, config);
      if (former === backend) return;
      listenTo(backend);
      leaving.add(former);
      // By then every question that it has is answered, or given up.
      clock.after(2 * config.timeoutMs, () => void closeFormer(former));
    },

    async recheck(login) {
      verdicts.forget(login);
      await backend.refresh?.();
    },

    async find(part, most) {
      if (backend.find !== undefined) return backend.find(part, most);
      const { exists } = await this.lookUp(part);
      return exists === true ? [part] : [];
    },

    async lookUp(login) {
      const unknown = { exists: null, groups: null };
      if (!isLogin(login)) return { exists: false, groups: [] };
      if (backend.lookUp === undefined) return unknown;
      const heard = await questions.askAboutSession(login, (signal) => backend.lookUp!(login, signal));
      return 'value' in heard ? heard.value : unknown;
    },

    async refresh() {
      await backend.refresh?.();
    },

    async close() {
      questions.close();
      throttle.close();
      verdicts.clear();
      await Promise.all([backend.close(), ...[...leaving].map(closeFormer)]);
    },
  };
}

function outcomeOf(verdict: Verdict): AuthOutcome {
  if (!verdict.accepted) return { kind: 'refused', reason: verdict.reason };
  const { login, proof, groups = [] } = verdict;
  return { kind: 'accepted', login, proof, groups, stale: false, remembered: false };
}

function unavailable(error: Fault): AuthOutcome {
  const busy = error.code === 'E_CREDENTIALS_BUSY';
  return { kind: 'unavailable', error, reason: busy ? 'too-many-logins' : 'backend-unavailable' };
}
