import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '../clock.js';
import type { CredentialsConfig } from '../config/config.js';
import { Fault } from '../errors.js';
import { networkOf } from '../network.js';
import type { Log } from '../observe/log.js';
import { type Accepted, AcceptedCache } from './accepted-cache.js';
import type { CredentialBackend, RefusalReason, Verdict } from './backend.js';
import { createLoginRule, type PresentedCredentials, readCredentials } from './login.js';
import { type Answer, Questions } from './questions.js';
import { RefusedCache } from './refused-cache.js';
import { LoginThrottle } from './throttle.js';

export type AuthOutcome =
  | {
      readonly kind: 'accepted';
      readonly login: string;
      readonly proof: unknown;
      /** From memory, since the backend is out: not checked now. */
      readonly stale: boolean;
    }
  | { readonly kind: 'refused'; readonly reason: RefusalReason }
  /** Nobody could say; never to be shown as a wrong password. */
  | { readonly kind: 'unavailable'; readonly error: Fault };

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
  /** Calls off what is being asked and closes the backend. */
  close(): Promise<void>;
}

export type GuardConfig = Pick<CredentialsConfig, 'loginPattern' | 'timeoutMs' | 'concurrency' | 'cache' | 'throttle'>;

/** One question that is being asked, shared by all who present the same login and password meanwhile. */
interface Flight {
  readonly answer: Promise<Answer<Verdict>>;
  readonly revokedMeanwhile: Set<string>;
  /** The login that was let in from memory without waiting for the answer, since the backend is out. */
  letIn: string | null;
}

export function createCredentialGuard(options: {
  readonly backend: CredentialBackend;
  readonly config: GuardConfig;
  readonly log: Log;
  readonly clock: Clock;
}): CredentialGuard {
  const { backend, config, clock } = options;
  const log = options.log.child({ part: 'credentials' });
  const isLogin = createLoginRule(config.loginPattern);
  // Known to this process alone, so that what is kept in memory can't be compared with anything outside.
  const hmacKey = randomBytes(32);
  const accepted = new AcceptedCache(config.cache, clock);
  const refused = new RefusedCache(clock);
  const throttle = new LoginThrottle(config.throttle, clock);
  const questions = new Questions({ backend: backend.name, config, log, clock });
  const flights = new Map<string, Flight>();
  const revalidations = new Map<unknown, { login: string; answer: Promise<Answer<boolean>> }>();
  const listeners: ((login: string) => void)[] = [];
  let throttledToldMs = Number.NEGATIVE_INFINITY;

  function revoke(login: string): void {
    accepted.dropLogin(login);
    refused.clear();
    for (const flight of flights.values()) flight.revokedMeanwhile.add(login);
    for (const listener of listeners) listener(login);
  }
  backend.onRevoked(revoke);

  function keyOf({ login, passwordBytes }: PresentedCredentials): string {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(login));
    return createHmac('sha256', hmacKey).update(length).update(login).update(passwordBytes).digest('base64');
  }

  /** Asks the backend, or joins the one who is asking the same; what is learnt is remembered before anybody hears it. */
  function ask(key: string, presented: PresentedCredentials, lane: string, mayRepeat = true): Flight {
    const flying = flights.get(key);
    if (flying !== undefined) return flying;
    const { login, password } = presented;
    const answer = questions
      .ask(lane, login, (signal) => backend.verify(login, password, signal))
      .then((heard): Answer<Verdict> | Promise<Answer<Verdict>> => {
        flights.delete(key);
        if ('fault' in heard) return heard;
        const verdict = heard.value;
        if (mayRepeat && flight.revokedMeanwhile.has(verdict.accepted ? verdict.login : presented.login)) {
          // The answer may be older than the change: one let in now would not be thrown out any more.
          const again = ask(key, presented, lane, false);
          again.letIn = flight.letIn;
          return again.answer;
        }
        if (!verdict.accepted) {
          accepted.drop(key);
          if (flight.letIn !== null) revoke(flight.letIn);
          refused.put(key, verdict.reason);
          return heard;
        }
        if (flight.revokedMeanwhile.has(verdict.login)) {
          return { fault: new Fault('E_CREDENTIALS_CHANGING', 'the account keeps changing while it is asked about') };
        }
        if (!isLogin(verdict.login)) {
          log.warn({ backend: backend.name }, 'the backend accepted a login that loginPattern forbids: refused');
          return { value: { accepted: false, reason: 'invalid-login' } };
        }
        accepted.put(key, { login: verdict.login, proof: verdict.proof, atMs: clock.monotonicMs() });
        return heard;
      });
    const flight: Flight = { answer, revokedMeanwhile: new Set(), letIn: null };
    flights.set(key, flight);
    return flight;
  }

  function fromMemory(known: Accepted, stale: boolean): AuthOutcome {
    if (stale) {
      const ageMs = clock.monotonicMs() - known.atMs;
      log.info({ login: known.login, ageMs }, 'accepted from memory: the credential backend does not answer');
    }
    return { kind: 'accepted', login: known.login, proof: known.proof, stale };
  }

  /** For a password that was right lately: no guess, so neither throttled nor counted, and good for an outage. */
  async function askAboutKnown(
    key: string,
    presented: PresentedCredentials,
    address: string,
    known: Accepted,
  ): Promise<AuthOutcome> {
    const flight = ask(key, presented, address);
    if (questions.outage) {
      // Nobody waits for an outage to be confirmed again. Should the backend be back, its answer counts after all.
      flight.letIn = known.login;
      return fromMemory(known, true);
    }
    const heard = await flight.answer;
    if ('value' in heard) return outcomeOf(heard.value);
    // It may have been revoked while nobody answered.
    const still = accepted.stale(key);
    return still === undefined ? { kind: 'unavailable', error: heard.fault } : fromMemory(still, true);
  }

  async function askAboutGuess(key: string, presented: PresentedCredentials, address: string): Promise<AuthOutcome> {
    const { login } = presented;
    const admission = throttle.admit(address, login, key);
    if (admission === 'throttled') {
      tellThrottled(login, address);
      return { kind: 'refused', reason: 'throttled' };
    }
    const reason = refused.get(key);
    if (reason !== undefined) {
      throttle.settled(address, login, key, 'wrong');
      return { kind: 'refused', reason };
    }
    const heard = await ask(key, presented, admission === 'trickle' ? `${address} trickle` : address).answer;
    if ('fault' in heard) {
      throttle.settled(address, login, key, 'unknown');
      return { kind: 'unavailable', error: heard.fault };
    }
    throttle.settled(address, login, key, heard.value.accepted ? 'right' : 'wrong');
    return outcomeOf(heard.value);
  }

  /** Under attack this could be a line per attempt; one a second tells as much. */
  function tellThrottled(login: string, address: string): void {
    if (clock.monotonicMs() - throttledToldMs < 1_000) return;
    throttledToldMs = clock.monotonicMs();
    log.warn({ login, address }, 'too many wrong passwords: refused without asking the backend');
  }

  return {
    async authenticate({ login, password, address }) {
      const presented = readCredentials(
        login,
        password,
        (name) => isLogin(name) || backend.acceptsLogin?.(name) === true,
      );
      if ('reason' in presented) return { kind: 'refused', reason: presented.reason };
      const from = networkOf(address);
      const key = keyOf(presented);
      const fresh = accepted.fresh(key);
      if (fresh !== undefined) {
        throttle.proven(from, presented.login);
        return fromMemory(fresh, false);
      }
      const known = accepted.stale(key);
      return known === undefined ? askAboutGuess(key, presented, from) : askAboutKnown(key, presented, from, known);
    },

    async revalidate(login, proof) {
      let asked = revalidations.get(proof);
      if (asked === undefined || asked.login !== login) {
        const answer = questions.askPatiently(login, (signal) => backend.revalidate(login, proof, signal));
        asked = { login, answer };
        revalidations.set(proof, asked);
        const mine = asked;
        void answer.then(() => revalidations.get(proof) === mine && revalidations.delete(proof));
      }
      const heard = await asked.answer;
      if ('fault' in heard) return 'unknown';
      if (heard.value) return 'entitled';
      accepted.dropLogin(login);
      return 'revoked';
    },

    get outage() {
      return questions.outage;
    },

    onRevoked(listener) {
      listeners.push(listener);
    },

    async close() {
      questions.close();
      accepted.clear();
      refused.clear();
      await backend.close();
    },
  };
}

function outcomeOf(verdict: Verdict): AuthOutcome {
  if (!verdict.accepted) return { kind: 'refused', reason: verdict.reason };
  return { kind: 'accepted', login: verdict.login, proof: verdict.proof, stale: false };
}
