import net from 'node:net';
import type { ListenerConfig } from '../config/config.js';
import { networkOf, normalizeAddress } from '../network.js';
import { receiveProxyHeader } from './proxy-arrival.js';
import { listenProxySocket } from './proxy-socket.js';
import type { Door, Reception } from './reception.js';

/** Bytes that a socket buffers each way before it asks its reader or writer to wait. */
const highWaterMark = 65_536;
/** Of what the proxy opens for itself: there is no address on a Unix socket. */
export const PROXY_ITSELF = 'proxy';

/**
 * Where a proxy on the same machine brings clients in, over a Unix socket. Throws `UsageError` when the socket's path,
 * mode or owner won't do.
 */
export async function openProxySocketDoor(reception: Reception, proxy: ListenerConfig['proxy']): Promise<Door> {
  const server = net.createServer({ allowHalfOpen: true, highWaterMark } as net.ServerOpts, (raw) => {
    raw.on('error', ignore);
    if (!reception.enter(raw)) return;
    receiveProxyHeader(raw, { clock: reception.clock, timeoutMs: reception.limits.handshakeTimeoutMs }, (arrival) => {
      if (arrival.kind === 'gone') return void raw.destroy();
      if (arrival.kind === 'bad' || arrival.kind === 'late') {
        raw.destroy();
        const message = `Connection closed on listener.proxy.socket: ${arrival.reason}`;
        return reception.warn('proxy-header', PROXY_ITSELF, { reason: arrival.reason }, message);
      }
      const relayed = arrival.kind === 'relayed';
      const address = relayed ? normalizeAddress(arrival.address) : PROXY_ITSELF;
      if (!reception.admit(raw, networkOf(address))) return;
      // Paused since the header; from the next turn on it flows to whoever takes it over now.
      raw.off('error', ignore).resume();
      reception.handOver(raw, raw, { address, port: relayed ? arrival.port : 0, transport: 'proxy' });
    });
  });
  reception.watch(server);
  const closed = new Promise<void>((resolve) => server.once('close', resolve));
  const remove = await listenProxySocket(server, proxy);
  return {
    port: null,
    stopAccepting() {
      remove();
      server.close();
    },
    closed,
  };
}

function ignore(): void {}
