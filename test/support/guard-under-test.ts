import type { TestContext } from 'node:test';
import { type AuthOutcome, createCredentialGuard, type GuardConfig } from '../../src/credentials/guard.js';
import { Fault } from '../../src/errors.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { captureLog } from './captured-log.js';
import { type ScriptedBackend, scriptedBackend } from './scripted-backend.js';

export const guardConfig: GuardConfig = {
  loginPattern: '^[a-z][a-z0-9]{3,19}$',
  timeoutMs: 5_000,
  concurrency: 8,
  cache: { ttlMs: 60_000, staleMs: 300_000, maxEntries: 100 },
  throttle: { maxFailures: 10, windowMs: 60_000 },
};

export function guardUnderTest(
  t: TestContext,
  overrides: Partial<GuardConfig> = {},
  backend: ScriptedBackend = scriptedBackend(),
) {
  const clock = new ManualClock();
  const captured = captureLog();
  const guard = createCredentialGuard({ backend, config: { ...guardConfig, ...overrides }, log: captured.log, clock });
  t.after(() => guard.close());
  const login = (name: string | undefined, password: string | Buffer | undefined, address = '192.0.2.1') =>
    guard.authenticate({
      login: name,
      password: typeof password === 'string' ? Buffer.from(password) : password,
      address,
    });
  return { backend, clock, captured, guard, login };
}

export const brief = (outcome: AuthOutcome): string =>
  outcome.kind === 'accepted'
    ? `accepted ${outcome.login}${outcome.stale ? ' stale' : ''}`
    : outcome.kind === 'refused'
      ? `refused ${outcome.reason}`
      : `unavailable ${outcome.error.code}`;

/** Until everything that can go on without time passing has gone on. */
export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

export const never = (): Promise<never> => new Promise(() => {});
export const down = async (): Promise<never> => {
  throw new Fault('E_LDAP_DOWN', 'the directory is down');
};
