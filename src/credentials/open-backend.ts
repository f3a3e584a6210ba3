import type { Clock } from '../clock.js';
import type { CredentialsConfig } from '../config/config.js';
import type { Log } from '../observe/log.js';
import type { CredentialBackend } from './backend.js';
import { openFileBackend } from './file-backend.js';

/** Opens the credential backend that the configuration names. */
export async function openBackend(
  config: CredentialsConfig,
  { log, clock }: { readonly log: Log; readonly clock: Clock; readonly env: NodeJS.ProcessEnv },
): Promise<CredentialBackend> {
  return openFileBackend({ path: config.file.path, log, clock });
}
