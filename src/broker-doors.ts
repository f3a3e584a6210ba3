import { type Admin, type AdminOptions, openAdmin } from './admin/admin.js';
import type { EditableUsers } from './admin/context.js';
import { listenerWitness } from './broker-counting.js';
import type { BrokerParts } from './broker-parts.js';
import type { BrokerSeams } from './broker-seams.js';
import type { Clock } from './clock.js';
import type { Config, LimitsConfig } from './config/config.js';
import type { CredentialGuard } from './credentials/guard.js';
import { createLoginRule } from './credentials/login.js';
import { authoritiesIn } from './listener/authorities.js';
import { type Listener, openListener } from './listener/listener.js';
import type { Log } from './observe/log.js';
import { openWeb, type Web, type WebOptions } from './web/web.js';

export interface DoorOptions {
  readonly config: Config;
  /** Those in force. */
  readonly limits: LimitsConfig;
  readonly log: Log;
  readonly clock: Clock;
  readonly seams: BrokerSeams;
  readonly parts: BrokerParts;
}

/** What of the store there is to be measured on the disk. */
const folderOf = ({ url, path }: Config['storage']) => (url === '' ? path : 'memory');

/** The doors of the operators. */
export function openAdminOf(
  { config, parts, log, clock, seams }: DoorOptions,
  others: Pick<AdminOptions, 'certificates' | 'stopping' | 'controls'> & {
    readonly guard: Pick<CredentialGuard, 'outage' | 'recheck' | 'refresh' | 'lookUp' | 'find'>;
  },
): Promise<Admin> {
  const { guard, ...given } = others;
  return openAdmin({
    ...{ ...given, config: config.admin, log, clock, parts, cluster: config.cluster },
    ...{ backend: config.credentials.backend, storePath: folderOf(config.storage) },
    users: editableUsers(config, seams, () => guard.refresh()),
    credentialsChanged: (login) => guard.recheck(login),
    lookUp: (login) => guard.lookUp(login),
    findLogins: (part, most) => guard.find(part, most),
    credentialsFault: () => (guard.outage ? 'E_CREDENTIALS_UNAVAILABLE' : null),
  });
}

/** Those of a users file; what another backend has, or each shard a copy of, is changed where it is. */
function editableUsers(
  { credentials, cluster }: Config,
  seams: BrokerSeams,
  refresh: () => Promise<void>,
): EditableUsers | null {
  if (credentials.backend !== 'file' || seams.backend !== undefined || cluster.shards > 1) return null;
  return { path: credentials.file.path, isLogin: createLoginRule(credentials.loginPattern), refresh };
}

/** Where clients come in, by TLS, a proxy or WebSocket, and browsers. */
export function openListenerOf({ config, seams, parts, ...common }: DoorOptions, web: Web | null): Promise<Listener> {
  const { certificates, wrapSocket } = seams;
  const { hub, counters, scheduler } = parts;
  return openListener({
    ...{ ...common, config: config.listener },
    ...(certificates && { certificates }),
    turns: scheduler.arrivals,
    witness: listenerWitness(counters),
    onConnection: (socket, peer) => hub.accept(wrapSocket?.(socket) ?? socket, peer.address, peer.transport),
    ...(web && { web: { config: config.web, onConnection: web.enter } }),
  });
}

/** What browsers get; null when the configuration has no port for them. */
export async function openWebOf(
  { config, seams, parts, clock, log }: DoorOptions,
  others: Pick<WebOptions, 'admin' | 'guard' | 'certificates' | 'mqttPort' | 'isCertified'>,
): Promise<Web | null> {
  if (config.web.port === 0 && !seams.web) return null;
  const { hub } = parts;
  return await openWeb({
    ...{ config: config.web, parts, clock, log, ...others },
    ca: authoritiesIn(config.listener, clock),
    connect: (stream, address, transport) => hub.accept(stream, address, transport),
  });
}
