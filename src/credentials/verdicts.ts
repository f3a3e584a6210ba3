import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '../clock.js';
import type { CredentialsConfig } from '../config/config.js';
import { Fault } from '../errors.js';
import type { Log } from '../observe/log.js';
import { type Accepted, AcceptedCache } from './accepted-cache.js';
import type { CredentialBackend, RefusalReason, Verdict } from './backend.js';
import { ExpiringMap } from './expiring-map.js';
import type { PresentedCredentials } from './login.js';
import type { Answer, Asker, Question, Questions } from './questions.js';

/** Long enough for a fleet that keeps trying the same wrong password, too short for somebody who just got it set. */
const refusedMs = 2_000;
const mostRefused = 10_000;

/** One login and password that is being asked about, for all who present them meanwhile. */
interface Flight {
  readonly question: Question<Verdict>;
  readonly answer: Promise<Answer<Verdict>>;
  waiting: number;
  /** The login that was let in from memory without waiting for the answer, since the backend is out. */
  letIn: string | null;
}

/** What the backend said of logins and passwords, and what it is being asked: each question once, for all who have it. */
export class Verdicts {
  #backend: CredentialBackend;
  readonly #questions: Questions;
  #isLogin: (login: string) => boolean;
  #timeoutMs: number;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #accepted: AcceptedCache;
  readonly #refused: ExpiringMap<RefusalReason>;
  readonly #flights = new Map<string, Flight>();
  /** The number of the last revocation of each login, for the flights in the air. */
  readonly #revokedAt = new Map<string, number>();
  #revocations = 0;
  readonly #onRefusedAfterAll: (login: string) => void;
  /** Known to this process alone, so that what is kept in memory can't be compared with anything outside. */
  readonly #hmacKey = randomBytes(32);

  constructor(options: {
    backend: CredentialBackend;
    questions: Questions;
    isLogin: (login: string) => boolean;
    config: Pick<CredentialsConfig, 'cache' | 'timeoutMs'>;
    log: Log;
    clock: Clock;
    /** Told of a login that was let in from memory, once the backend is back and does not know that password. */
    onRefusedAfterAll: (login: string) => void;
  }) {
    this.#backend = options.backend;
    this.#questions = options.questions;
    this.#isLogin = options.isLogin;
    this.#timeoutMs = options.config.timeoutMs;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#accepted = new AcceptedCache(options.config.cache, options.clock);
    this.#refused = new ExpiringMap({ ttlMs: refusedMs, maxEntries: mostRefused }, options.clock);
    this.#onRefusedAfterAll = options.onRefusedAfterAll;
  }

  /** What was said so far is as good as before, unless another backend is asked from now on: then nothing of it is. */
  configure(
    backend: CredentialBackend,
    isLogin: (login: string) => boolean,
    { cache, timeoutMs }: Pick<CredentialsConfig, 'cache' | 'timeoutMs'>,
  ): void {
    if (backend !== this.#backend) this.clear();
    this.#backend = backend;
    this.#isLogin = isLogin;
    this.#timeoutMs = timeoutMs;
    this.#accepted.configure(cache);
  }

  /** Under which all of this is kept; says nothing to whom the process's key is unknown. */
  keyOf({ login, passwordBytes }: PresentedCredentials): string {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(login));
    return createHmac('sha256', this.#hmacKey).update(length).update(login).update(passwordBytes).digest('base64');
  }

  /** So lately that nobody need be asked. */
  accepted(key: string): Accepted | undefined {
    return this.#accepted.fresh(key);
  }

  /** Not too long ago for an outage. */
  acceptedEarlier(key: string): Accepted | undefined {
    return this.#accepted.stale(key);
  }

  /** A moment ago: the answer would be the same. */
  refused(key: string): RefusalReason | undefined {
    return this.#refused.get(key);
  }

  /**
   * Asks, or joins those who wait for the same answer. Resolves at `untilMs` at the latest; the question goes on if the
   * backend has it, and what is learnt is remembered.
   */
  async ask(key: string, presented: PresentedCredentials, asker: Asker, untilMs: number): Promise<Answer<Verdict>> {
    const flight = this.#flightOf(key, presented, asker);
    const now = this.#clock.monotonicMs();
    flight.waiting += 1;
    let cancel = (): void => {};
    const late = new Promise<Answer<Verdict>>((resolve) => {
      cancel = this.#clock.after(Math.max(0, untilMs - now), () => {
        resolve({ fault: this.#questions.lateFault(flight.question, now) });
      });
    });
    const answer = await Promise.race([flight.answer, late]);
    cancel();
    flight.waiting -= 1;
    if (flight.waiting === 0) flight.question.withdraw();
    return answer;
  }

  /** Asks without waiting, for whom was let in as `login` all the same: the backend may be back. */
  askInPassing(key: string, presented: PresentedCredentials, asker: Asker, login: string): void {
    const flight = this.#flightOf(key, presented, asker);
    flight.letIn = login;
    void this.ask(key, presented, asker, this.#clock.monotonicMs() + this.#timeoutMs);
  }

  /** Forgets what was said of a login, also by answers that are on their way. */
  revoke(login: string): void {
    this.#accepted.dropLogin(login);
    this.#refused.clear();
    this.#revocations += 1;
    if (this.#flights.size === 0) this.#revokedAt.clear();
    this.#revokedAt.set(login, this.#revocations);
  }

  forget(login: string): void {
    this.#accepted.dropLogin(login);
  }

  regroup(login: string, groups: readonly string[]): void {
    this.#accepted.regroup(login, groups);
  }

  clear(): void {
    this.#accepted.clear();
    this.#refused.clear();
  }

  #flightOf(key: string, presented: PresentedCredentials, asker: Asker): Flight {
    return this.#flights.get(key) ?? this.#newFlight(key, presented, asker, true);
  }

  #newFlight(key: string, presented: PresentedCredentials, asker: Asker, mayRepeat: boolean): Flight {
    const { login, password } = presented;
    const after = this.#revocations;
    const backend = this.#backend;
    const question = this.#questions.ask(
      asker,
      (signal) => backend.verify(login, password, signal),
      (verdict) => (verdict.accepted ? 0 : (verdict.delayMs ?? 0)),
    );
    const answer = question.answer.then((heard) => {
      this.#flights.delete(key);
      if ('fault' in heard) return heard;
      const verdict = heard.value;
      const revoked = (this.#revokedAt.get(verdict.accepted ? verdict.login : login) ?? 0) > after;
      if (!revoked && backend === this.#backend) return this.#learn(key, verdict, flight);
      // The answer may be older than the change: one let in now would not be thrown out any more.
      if (mayRepeat) {
        const again = this.#newFlight(key, presented, asker, false);
        again.letIn = flight.letIn;
        return again.answer;
      }
      return { fault: new Fault('E_CREDENTIALS_CHANGING', 'the account keeps changing while it is asked about') };
    });
    const flight: Flight = { question, answer, waiting: 0, letIn: null };
    this.#flights.set(key, flight);
    return flight;
  }

  #learn(key: string, verdict: Verdict, { letIn }: Flight): Answer<Verdict> {
    if (!verdict.accepted) {
      this.#accepted.drop(key);
      if (letIn !== null) this.#onRefusedAfterAll(letIn);
      this.#refused.set(key, verdict.reason);
      return { value: verdict };
    }
    const { login, proof, groups = [] } = verdict;
    if (!this.#isLogin(login)) {
      this.#log.warn(
        { backend: this.#backend.name },
        'the backend accepted a login that loginPattern forbids: refused',
      );
      return { value: { accepted: false, reason: 'invalid-login' } };
    }
    this.#accepted.put(key, { login, proof, groups, atMs: this.#clock.monotonicMs() });
    return { value: verdict };
  }
}
