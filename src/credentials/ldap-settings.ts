import { readFile } from 'node:fs/promises';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { LdapConfig } from '../config/config.js';
import { UsageError, whyNoFile } from '../errors.js';
import { ldapFault } from './ldap-fault.js';
import { type LdapFilter, parseFilter } from './ldap-filter.js';
import { LdapGroups } from './ldap-groups.js';
import type { LdapServer } from './ldap-messages.js';

/** The LDAP section of the configuration after everything in it that can be checked without a directory was checked. */
export interface LdapSettings {
  readonly servers: readonly LdapServer[];
  readonly searchFilter: LdapFilter | null;
  readonly mailFilter: LdapFilter | null;
  readonly groupFilter: LdapFilter | null;
  readonly groups: LdapGroups;
  readonly service: { readonly dn: string; password(): Promise<string> } | null;
  /** Servers that passwords go to in clear text, and not on this machine. */
  readonly clearText: readonly string[];
}

/** Throws `UsageError`, naming the key, for what the operator has to mend. */
export async function readLdapSettings(config: LdapConfig, env: NodeJS.ProcessEnv): Promise<LdapSettings> {
  const trust = await readTrust(config.ca);
  if (config.urls.length === 0)
    throw new UsageError('credentials.ldap.urls: names no server, such as ldaps://ldap.example.org');
  const servers = config.urls.map((url) => toServer(url, config.startTls, trust));
  const byMail = config.searchBase !== '' && config.mailAttribute !== '';
  return {
    servers,
    searchFilter: config.searchBase === '' ? null : parseFilter(config.searchFilter, 'credentials.ldap.searchFilter'),
    mailFilter: byMail ? { kind: 'equal', attribute: config.mailAttribute, value: '%u' } : null,
    groupFilter: config.groupFilter === '' ? null : parseFilter(config.groupFilter, 'credentials.ldap.groupFilter'),
    groups: new LdapGroups(
      config,
      config.groupsFilter === '' ? null : parseFilter(config.groupsFilter, 'credentials.ldap.groupsFilter'),
    ),
    service: await readService(config, env),
    clearText: servers.filter(({ security, host }) => security === 'none' && !isLoopback(host)).map(({ name }) => name),
  };
}

function toServer(text: string, startTls: boolean, trust: SecureContext): LdapServer {
  const url = new URL(text);
  const secure = url.protocol === 'ldaps:';
  if (secure && startTls) {
    throw new UsageError(
      `credentials.ldap.startTls: ${text} is TLS from its first byte; use ldap:// with startTls, or leave startTls out`,
    );
  }
  return {
    name: text,
    host: url.hostname.replace(/^\[(.*)\]$/u, '$1'),
    port: url.port === '' ? (secure ? 636 : 389) : Number(url.port),
    security: secure ? 'tls' : startTls ? 'starttls' : 'none',
    trust,
  };
}

/** An empty path: whom Node.js trusts. */
async function readTrust(path: string): Promise<SecureContext> {
  const minVersion = 'TLSv1.2';
  if (path === '') return createSecureContext({ minVersion });
  const key = 'credentials.ldap.ca';
  const ca = await readFile(path, 'utf8').catch((error) => {
    throw new UsageError(`${key}: ${path} cannot be read: ${whyNoFile(error)}`, { cause: error });
  });
  if (!ca.includes('-----BEGIN CERTIFICATE-----')) throw new UsageError(`${key}: ${path} holds no certificate (PEM)`);
  try {
    return createSecureContext({ ca, minVersion });
  } catch (error) {
    throw new UsageError(`${key}: ${path} holds a broken certificate: ${(error as Error).message}`, { cause: error });
  }
}

/** The file is read anew for each connection, so that a new password needs no restart. */
async function readService(config: LdapConfig, env: NodeJS.ProcessEnv): Promise<LdapSettings['service']> {
  const { serviceDn: dn, servicePasswordFile: file, servicePasswordEnv: variable } = config;
  const keys = 'credentials.ldap.servicePasswordFile or credentials.ldap.servicePasswordEnv';
  if (dn === '') {
    if (file === '' && variable === '') return null;
    throw new UsageError(`credentials.ldap.serviceDn: is missing, but there is a password for it (${keys})`);
  }
  if (variable !== '') {
    const password = env[variable] ?? '';
    if (password !== '') return { dn, password: async () => password };
    throw new UsageError(`credentials.ldap.servicePasswordEnv: the environment variable ${variable} is not set`);
  }
  if (file === '') throw new UsageError(`${keys}: is missing; it holds the password of credentials.ldap.serviceDn`);
  await readSecret(file).catch((error) => {
    throw new UsageError(`credentials.ldap.servicePasswordFile: ${file}: ${whyNoFile(error)}`, { cause: error });
  });
  const password = () =>
    readSecret(file).catch((error) => {
      throw ldapFault('E_LDAP_SERVICE_BIND', `${file}: ${whyNoFile(error)}`, error);
    });
  return { dn, password };
}

async function readSecret(file: string): Promise<string> {
  const [line = ''] = (await readFile(file, 'utf8')).split(/\r?\n/u);
  if (line === '') throw new Error('its first line, where the password belongs, is empty');
  return line;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/u.test(host);
}
