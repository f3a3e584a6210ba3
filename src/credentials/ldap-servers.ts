import type { Clock } from '../clock.js';
import type { Fault } from '../errors.js';
import type { Log } from '../observe/log.js';
import { isServerFault, ldapFault } from './ldap-fault.js';
import type { LdapServer } from './ldap-messages.js';

interface State {
  readonly server: LdapServer;
  /** Failures without a success between them. */
  failures: number;
  blockedUntilMs: number;
  /** A server that failed is tried by one question at a time, so that a hanging one delays only that one. */
  trying: boolean;
}

const firstBackoffMs = 100;

/**
 * The directory's servers, in order of preference. One that failed is passed over for a while (100 ms, doubled up to
 * `maxBackoffMs`) as long as another is left. When all have failed there is nobody to spare: then one question at a time
 * tries them all, at once, and the others share its outcome, so recovery takes no longer than the next question.
 */
export class LdapServers {
  readonly #states: readonly State[];
  readonly #maxBackoffMs: number;
  readonly #clock: Clock;
  readonly #log: Log;
  #rescue: Promise<void> | null = null;

  constructor(servers: readonly LdapServer[], options: { maxBackoffMs: number; clock: Clock; log: Log }) {
    this.#states = servers.map((server) => ({ server, failures: 0, blockedUntilMs: 0, trying: false }));
    this.#maxBackoffMs = options.maxBackoffMs;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  get count(): number {
    return this.#states.length;
  }

  /** Does `work` with the first server that can; a fault that is not the server's own ends the attempt. */
  async attempt<T>(signal: AbortSignal, work: (server: LdapServer) => Promise<T>): Promise<T> {
    if (this.#states.every(({ failures }) => failures > 0)) {
      if (this.#rescue !== null) {
        await orAborted(this.#rescue, signal);
      } else {
        const result = this.#tryAll(this.#states, signal, work);
        const rescue = result.then(
          () => {},
          (fault) => {
            // Called off by its own caller: says nothing to the others.
            if (!signal.aborted) throw fault;
          },
        );
        rescue.catch(() => {});
        this.#rescue = rescue;
        return result.finally(() => {
          this.#rescue = null;
        });
      }
    }
    const fit = this.#states.filter((state) => this.#isFit(state));
    return this.#tryAll(fit.length > 0 ? fit : this.#states, signal, work);
  }

  /** Is there no better server to ask just now? */
  isFirstChoice(server: LdapServer): boolean {
    const best = this.#states.find((state) => this.#isFit(state));
    return best === undefined || best.server === server;
  }

  /** Tells of a failure that was noticed outside `attempt`, on a connection that was open before. */
  failed(server: LdapServer, fault: Fault): void {
    const state = this.#states.find((it) => it.server === server);
    if (state !== undefined) this.#failed(state, fault);
  }

  async #tryAll<T>(
    states: readonly State[],
    signal: AbortSignal,
    work: (server: LdapServer) => Promise<T>,
  ): Promise<T> {
    let last: unknown;
    for (const state of states) {
      if (signal.aborted) break;
      state.trying = true;
      try {
        const result = await work(state.server);
        this.#succeeded(state);
        return result;
      } catch (error) {
        last = error;
        // Out of time while this server had the question: it is the one that took the time.
        if (isServerFault(error) || signal.aborted) this.#failed(state, error as Fault);
        else throw error;
      } finally {
        state.trying = false;
      }
    }
    throw last ?? ldapFault('E_LDAP_CANCELLED', 'called off before any server was asked', signal.reason);
  }

  #isFit({ failures, blockedUntilMs, trying }: State): boolean {
    return failures === 0 || (blockedUntilMs <= this.#clock.monotonicMs() && !trying);
  }

  #failed(state: State, fault: Fault): void {
    const { server } = state;
    state.blockedUntilMs =
      this.#clock.monotonicMs() + Math.min(firstBackoffMs * 2 ** Math.min(state.failures, 20), this.#maxBackoffMs);
    state.failures += 1;
    const { code, message } = fault;
    if (state.failures === 1) this.#log.warn({ server: server.name, code, reason: message }, 'directory server failed');
    else this.#log.debug({ server: server.name, code, reason: message, failures: state.failures }, 'still failing');
  }

  #succeeded(state: State): void {
    if (state.failures === 0) return;
    this.#log.info({ server: state.server.name, failures: state.failures }, 'directory server works again');
    state.failures = 0;
  }
}

async function orAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  let abort = (): void => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(ldapFault('E_LDAP_CANCELLED', 'called off while the directory was down', signal.reason));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
