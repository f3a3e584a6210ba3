import type { Clock } from '../clock.js';
import type { CredentialsConfig } from '../config/config.js';
import type { Log } from '../observe/log.js';
import type { CredentialBackend } from './backend.js';
import { openFileBackend } from './file-backend.js';

/** Opens the credential backend that the configuration names; the libraries of the others are not even loaded. */
export async function openBackend(
  config: CredentialsConfig,
  { log, clock, env }: { readonly log: Log; readonly clock: Clock; readonly env: NodeJS.ProcessEnv },
): Promise<CredentialBackend> {
  switch (config.backend) {
    case 'file':
      return openFileBackend({ path: config.file.path, log, clock });
    case 'ldap':
      return (await import('./ldap-backend.js')).openLdapBackend({ config: config.ldap, log, clock, env });
    case 'api':
      return (await import('./api-backend.js')).openApiBackend({ config: config.api, log, clock });
  }
}
