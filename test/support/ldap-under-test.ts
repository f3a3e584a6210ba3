import { type Clock, systemClock } from '../../src/clock.js';
import type { LdapConfig } from '../../src/config/config.js';
import { defaultConfig } from '../../src/config/defaults.js';
import type { CredentialBackend, Verdict } from '../../src/credentials/backend.js';
import { openLdapBackend } from '../../src/credentials/ldap-backend.js';
import { type CapturedLog, captureLog } from './captured-log.js';
import { type Slapd, type SlapdOptions, serviceDn, servicePassword, startSlapd } from './slapd.js';
import type { Scope } from './sockets.js';

export interface LdapUnderTest {
  readonly backend: CredentialBackend;
  readonly log: CapturedLog;
  verify(login: string, password: string, timeoutMs?: number): Promise<Verdict>;
}

/** Search then bind with the service account, unless `overrides` says otherwise; closed when the test ends. */
export async function openLdap(
  t: Scope,
  slapd: Slapd,
  overrides: Partial<LdapConfig> = {},
  clock: Clock = systemClock,
): Promise<LdapUnderTest> {
  const log = captureLog();
  const backend = await openLdapBackend({
    config: ldapConfig(slapd, overrides),
    log: log.log,
    clock,
    env: { SECRET: servicePassword },
  });
  t.after(() => backend.close());
  return {
    backend,
    log,
    async verify(login, password, timeoutMs = 10_000) {
      const verdict = await backend.verify(login, password, AbortSignal.timeout(timeoutMs));
      // How much later to tell it is the guard's business.
      return verdict.accepted ? verdict : { accepted: false, reason: verdict.reason };
    },
  };
}

export function ldapConfig(slapd: Slapd, overrides: Partial<LdapConfig> = {}): LdapConfig {
  const account = overrides.serviceDn === '' ? {} : { serviceDn, servicePasswordEnv: 'SECRET' };
  const ldap = { urls: [slapd.url], ca: slapd.ca, searchBase: slapd.suffix, bindDn: slapd.bindDn, ...account };
  return defaultConfig({ credentials: { ldap: { ...ldap, ...overrides } } }).credentials.ldap;
}

/** A slapd for one test. */
export async function slapdFor(t: Scope, options: SlapdOptions): Promise<Slapd> {
  const slapd = await startSlapd(options);
  t.after(() => slapd.remove());
  return slapd;
}
