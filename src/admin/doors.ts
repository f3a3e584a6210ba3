import type { Clock } from '../clock.js';
import type { AdminConfig } from '../config/config.js';
import type { Log } from '../observe/log.js';
import { createRateLimited } from '../observe/rate-limited.js';
import type { Audit } from './audit.js';
import type { HealthState } from './health.js';
import { openAdminPort } from './port.js';
import type { Answer } from './route.js';
import type { Answerer } from './router.js';
import { openAdminSocket } from './socket.js';
import { Token } from './token.js';

export interface DoorsOptions {
  readonly config: AdminConfig;
  readonly log: Log;
  readonly clock: Clock;
  readonly audit: Audit;
  readonly answerer: Answerer;
  readonly health: () => HealthState | Promise<HealthState>;
  /** Whether clients should be sent here. */
  readonly ready: () => boolean;
  readonly metrics: (accept: string) => Promise<Answer>;
}

export interface Doors {
  /** Of health and metrics; null when that is turned off. */
  readonly port: number | null;
  close(): Promise<void>;
}

/** Opens the doors of the operator: the socket of the commands, and the port of health and metrics. */
export async function openDoors(options: DoorsOptions): Promise<Doors> {
  const { config, log, clock, audit, answerer, health, ready, metrics } = options;
  const adminLog = log.child({ part: 'admin' });
  const noisyLog = createRateLimited({ clock });
  const door = { router: answerer, audit, noisyLog, names: [config.host, ...config.names] };
  const token = new Token(config.port === 0 ? '' : config.tokenFile, adminLog);
  await token.load();
  const port = await openAdminPort({ config, door, token, log, health, ready, metrics });
  const socket = await openAdminSocket(config.socket, door, adminLog);
  return {
    port: port.port,
    async close() {
      await Promise.all([socket?.close(), port.close()]);
      noisyLog.close();
    },
  };
}
