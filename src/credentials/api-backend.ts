import { readFile } from 'node:fs/promises';
import type { Clock } from '../clock.js';
import type { ApiConfig } from '../config/config.js';
import { Fault, UsageError, whyNoFile } from '../errors.js';
import type { Log } from '../observe/log.js';
import { type ApiAnswer, ApiClient } from './api-client.js';
import type { CredentialBackend, RefusalReason, Verdict } from './backend.js';
import { isMailAddress, isPlausibleLogin } from './login.js';
import { PasswordSealer, type SealedPassword, SharedProofs } from './sealed-password.js';

/** What a session was accepted with. The API can only be asked with a password, so it is kept, sealed. */
class ApiProof {
  readonly typed: string;
  readonly #password: SealedPassword;

  constructor(typed: string, password: SealedPassword) {
    this.typed = typed;
    this.#password = password;
  }

  password(): string {
    return this.#password.open();
  }
}

/** Connections that stay open while nobody asks. How many questions there are at a time is the guard's business. */
const keptConnections = 8;
const longestPasswordBytes = 4096;

/**
 * Users of the testbed's web API: `GET <url>/user` with HTTP Basic; 200 and a JSON object with `login` accepts, 401 and
 * 403 refuse, everything else is an outage. Throws `UsageError` for a configuration that can't work.
 */
export async function openApiBackend(options: {
  readonly config: ApiConfig;
  readonly log: Log;
  readonly clock: Clock;
}): Promise<CredentialBackend> {
  const { config, clock } = options;
  const log = options.log.child({ part: 'credentials', backend: 'api' });
  if (config.url === '') {
    throw new UsageError(
      'credentials.api.url: is missing; the API is asked at <url>/user, such as https://www.example.org/api',
    );
  }
  const { protocol, hostname } = new URL(config.url);
  if (protocol === 'http:' && !/^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/u.test(hostname)) {
    log.warn({ url: config.url }, 'passwords go to the API in clear text: use https:// in credentials.api.url');
  }
  const ca = config.ca === '' ? undefined : await readCa(config.ca);
  const client = new ApiClient({ url: config.url, ca, timeoutMs: config.timeoutMs, keptConnections, clock });
  const sealer = new PasswordSealer();
  const proofs = new SharedProofs<ApiProof>();
  let closed = false;

  async function ask(
    login: string,
    password: string,
    signal: AbortSignal,
  ): Promise<{ login: string } | { reason: RefusalReason }> {
    if (closed) throw stopped();
    const answer = await client.ask(login, password, signal);
    if (closed) throw stopped();
    if (answer.status === 401) return { reason: 'wrong-password' };
    if (answer.status === 403) return { reason: 'disabled' };
    return { login: loginOf(answer, config.url) };
  }

  return {
    name: 'api',
    acceptsLogin: isMailAddress,

    async verify(typed, password, signal): Promise<Verdict> {
      if (closed) throw stopped();
      if (password === '') return { accepted: false, reason: 'no-password' };
      // The colon ends the login in HTTP Basic: what follows would be taken for the password (RFC 7617, 2).
      if (!isPlausibleLogin(typed) || typed.includes(':')) return { accepted: false, reason: 'invalid-login' };
      if (Buffer.byteLength(password) > longestPasswordBytes) return { accepted: false, reason: 'invalid-password' };
      const answer = await ask(typed, password, signal);
      if ('reason' in answer) return { accepted: false, reason: answer.reason };
      const proof = proofs.get(sealer.mark(typed, password), () => new ApiProof(typed, sealer.seal(password)));
      return { accepted: true, login: answer.login, proof };
    },

    async revalidate(login, proof, signal) {
      if (!(proof instanceof ApiProof)) throw new Fault('E_CREDENTIAL_PROOF', 'the proof is not of this backend');
      const answer = await ask(proof.typed, proof.password(), signal);
      return 'login' in answer && answer.login === login;
    },

    onRevoked() {},

    async close() {
      closed = true;
      client.close();
    },
  };
}

function loginOf({ status, body }: ApiAnswer, url: string): string {
  if (status !== 200) throw new Fault('E_API_STATUS', `${url}: answered with HTTP status ${status}`);
  let login: unknown;
  try {
    login = (JSON.parse(body) as { login?: unknown } | null)?.login;
  } catch (cause) {
    throw new Fault('E_API_ANSWER', `${url}: answered with something else than JSON`, { cause });
  }
  if (typeof login === 'string' && login !== '') return login;
  throw new Fault('E_API_ANSWER', `${url}: answered without saying whose login it is`);
}

function stopped(): Fault {
  return new Fault('E_API_STOPPED', 'the API backend was closed');
}

async function readCa(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error) => {
    throw new UsageError(`credentials.api.ca: ${path} cannot be read: ${whyNoFile(error)}`, { cause: error });
  });
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new UsageError(`credentials.api.ca: ${path} holds no certificate (PEM)`);
}
