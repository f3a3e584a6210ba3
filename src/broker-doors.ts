import { listenerWitness } from './broker-counting.js';
import type { BrokerParts } from './broker-parts.js';
import type { BrokerSeams } from './broker-seams.js';
import type { Clock } from './clock.js';
import type { Config, LimitsConfig } from './config/config.js';
import { type Listener, openListener } from './listener/listener.js';
import type { Log } from './observe/log.js';
import { openWeb, type Web } from './web/web.js';

export interface DoorOptions {
  readonly config: Config;
  /** Those in force. */
  readonly limits: LimitsConfig;
  readonly log: Log;
  readonly clock: Clock;
  readonly seams: BrokerSeams;
  readonly parts: BrokerParts;
}

/** Where clients come in, by TLS, a proxy or WebSocket, and browsers. */
export function openListenerOf({ config, seams, parts, ...common }: DoorOptions, web: Web | null): Promise<Listener> {
  const { certificates, wrapSocket } = seams;
  const { hub, counters } = parts;
  return openListener({
    ...{ ...common, config: config.listener },
    ...(certificates && { certificates }),
    witness: listenerWitness(counters),
    onConnection: (socket, peer) => hub.accept(wrapSocket?.(socket) ?? socket, peer.address, peer.transport),
    ...(web && { web: { config: config.web, onConnection: web.enter } }),
  });
}

/** What browsers get; null when the configuration has no port for them. */
export function openWebOf({ config, seams, parts, clock, log }: DoorOptions): Web | null {
  if (config.web.port === 0 && !seams.web) return null;
  const { hub } = parts;
  return openWeb({
    ...{ config: config.web, parts, clock, log },
    connect: (stream, address, transport) => hub.accept(stream, address, transport),
  });
}
