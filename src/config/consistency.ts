import type { Config } from './config.js';

export interface Inconsistency {
  readonly key: string;
  readonly text: string;
}

/** What no key shows alone. Only what is certain not to work is listed. */
export function inconsistencies({ credentials, limits }: Config): Inconsistency[] {
  const { backend, api, ldap } = credentials;
  const found: Inconsistency[] = [];
  const add = (key: string, text: string) => found.push({ key, text });
  if (backend === 'api' && api.url === '') add('credentials.api.url', 'is needed with "backend: api"');
  if (backend === 'ldap') {
    if (ldap.urls.length === 0) add('credentials.ldap.urls', 'names no server, and "backend: ldap" needs one');
    if (ldap.startTls && ldap.urls.some((url) => url.startsWith('ldaps:'))) {
      add('credentials.ldap.startTls', 'is for ldap:// only: an ldaps:// connection is TLS from the first byte');
    }
    if (ldap.serviceDn !== '' && ldap.servicePasswordFile === '' && ldap.servicePasswordEnv === '') {
      add('credentials.ldap.serviceDn', 'needs servicePasswordFile or servicePasswordEnv');
    }
  }
  if (limits.queuedBytes > limits.queuedBytesPerUser) {
    add('limits.queuedBytes', `is more than limits.queuedBytesPerUser (${limits.queuedBytesPerUser})`);
  }
  return found;
}
