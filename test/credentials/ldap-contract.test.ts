import { systemClock } from '../../src/clock.js';
import type { LdapConfig } from '../../src/config/config.js';
import { defaultConfig } from '../../src/config/defaults.js';
import { openLdapBackend } from '../../src/credentials/ldap-backend.js';
import { type BackendUnderTest, credentialBackendContract } from '../contract/credential-backend.js';
import { captureLog } from '../support/captured-log.js';
import { type Slapd, type SlapdOptions, serviceDn, servicePassword, startSlapd } from '../support/slapd.js';

type Overrides = { -readonly [K in keyof LdapConfig]?: LdapConfig[K] };

const variants: readonly {
  name: string;
  slapd?: Omit<SlapdOptions, 'users'>;
  config: (slapd: Slapd) => Overrides;
  canDisable: boolean;
}[] = [
  {
    name: 'ldap, search then bind, ldaps',
    config: (slapd) => ({ urls: [slapd.tlsUrl], ca: slapd.ca, searchBase: slapd.people, serviceDn }),
    canDisable: true,
  },
  {
    name: 'ldap, search then bind, StartTLS',
    slapd: { requireTls: true },
    config: (slapd) => ({
      urls: [`ldap://localhost:${slapd.port}`],
      startTls: true,
      ca: slapd.ca,
      searchBase: slapd.suffix,
      serviceDn,
    }),
    canDisable: true,
  },
  {
    name: 'ldap, direct bind, ldaps, entries not readable',
    config: (slapd) => ({ urls: [slapd.tlsUrl], ca: slapd.ca }),
    canDisable: false,
  },
  {
    name: 'ldap, direct bind, clear text, entries readable by anybody',
    slapd: { anonymousRead: true },
    config: (slapd) => ({ urls: [slapd.url] }),
    canDisable: true,
  },
  {
    name: 'ldap, direct bind, IPv6, a service account reads the entries',
    config: (slapd) => ({ urls: [`ldap://[::1]:${slapd.port}`], serviceDn }),
    canDisable: true,
  },
];

for (const { name, slapd: options, config, canDisable } of variants) {
  credentialBackendContract({
    name,
    async setup(users): Promise<BackendUnderTest> {
      const slapd = await startSlapd({ users, ...options });
      const overrides = { servicePasswordEnv: 'SECRET', bindDn: slapd.bindDn, ...config(slapd) };
      if (overrides.serviceDn === undefined) overrides.servicePasswordEnv = '';
      const backend = await openLdapBackend({
        config: defaultConfig({ credentials: { ldap: overrides } }).credentials.ldap,
        log: captureLog().log,
        clock: systemClock,
        env: { SECRET: servicePassword },
      });
      return {
        backend,
        setPassword: (login, password) => slapd.setPassword(login, password),
        remove: (login) => slapd.removeUser(login),
        ...(canDisable ? { disable: (login: string) => slapd.replace(login, 'shadowExpire', '0') } : {}),
        tellsRevocations: false,
        close: () => slapd.remove(),
      };
    },
  });
}
