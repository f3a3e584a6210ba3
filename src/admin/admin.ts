import { metricsOf } from '../broker-parts.js';
import type { AdminConfig } from '../config/config.js';
import { openHealth } from '../observe/health.js';
import type { Log } from '../observe/log.js';
import { openAudit } from './audit.js';
import { connectionRoutes } from './connections.js';
import type { AdminContext } from './context.js';
import { denialRoutes } from './denials.js';
import type { Route } from './route.js';
import { Router } from './router.js';
import { openAdminSocket } from './socket.js';
import { statusRoutes } from './status.js';

export interface AdminOptions extends AdminContext {
  readonly config: AdminConfig;
  readonly log: Log;
}

export interface Admin {
  /** Of health and metrics; null when that is turned off. */
  readonly port: number | null;
  close(): Promise<void>;
}

/** Opens the doors of the operator: the socket of the commands, and the port of health and metrics. */
export async function openAdmin(options: AdminOptions): Promise<Admin> {
  const { config, clock, parts } = options;
  const log = options.log.child({ part: 'admin' });
  const audit = openAudit(config.auditFile, { clock, log });
  const router = new Router({ routes: adminRoutes(options), audit, log });
  const health = await openHealth({
    ...{ config, log: options.log, clock },
    state: () => ({
      connections: parts.connections.size,
      storeFault: parts.store.fault?.code ?? null,
      credentialsFault: options.credentialsFault(),
      stopping: options.stopping(),
    }),
    metrics: () => metricsOf(parts),
  });
  const socket = await openAdminSocket(config.socket, router, log);
  return {
    port: health.port,
    async close() {
      await Promise.all([socket?.close(), health.close()]);
      await audit.close();
    },
  };
}

/** Everything below `/v1`; docs/openapi.yaml says the same in words. */
export function adminRoutes(context: AdminContext): readonly Route[] {
  return [...statusRoutes(context), ...connectionRoutes(context), ...denialRoutes(context)];
}
