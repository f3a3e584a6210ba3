import net from 'node:net';
import type { SecureContext } from 'node:tls';
import { networkOf, normalizeAddress } from '../network.js';
import { type Complaints, listenTcp } from './bind.js';
import { type HandshakeEnd, shakeHands } from './handshake.js';
import { HandshakeQueue } from './handshake-queue.js';
import type { Door, OnConnection, Reception } from './reception.js';

export interface TlsDoorOptions {
  readonly host: string;
  readonly port: number;
  readonly context: () => SecureContext;
  readonly complaints: Complaints;
  /** Who takes over what comes in here, if it is not MQTT. */
  readonly to?: OnConnection;
}

/** Where clients come in: TLS 1.2 and 1.3, and nothing else. Throws `UsageError` when host or port won't do. */
export async function openTlsDoor(reception: Reception, options: TlsDoorOptions): Promise<Door> {
  const { host, port, context, complaints, to } = options;
  const handshakes = new HandshakeQueue(reception.turns);

  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (raw) => {
    const { remoteAddress, remotePort = 0 } = raw;
    // Gone already, between accept and here.
    if (remoteAddress === undefined) return void raw.destroy();
    const address = normalizeAddress(remoteAddress);
    const network = networkOf(address);
    if (!reception.enter(raw) || !reception.admit(raw, network)) return;
    const startedMs = reception.clock.monotonicMs();
    const shaken = {
      ...{ context, clock: reception.clock, timeoutMs: reception.limits.handshakeTimeoutMs },
      whenItsTurn: (begin: () => void) => handshakes.add(network, begin),
    };
    shakeHands(raw, shaken, (end) => {
      const seconds = (reception.clock.monotonicMs() - startedMs) / 1_000;
      reception.witness?.handshake(end.kind, end.kind === 'secure' && end.socket.isSessionReused(), seconds);
      if (end.kind === 'secure')
        reception.handOver(raw, end.socket, { address, port: remotePort, transport: 'tls' }, to);
      else tell(reception, end, address);
    });
  });

  reception.watch(server);
  const closed = new Promise<void>((resolve) => server.once('close', resolve));
  await listenTcp(server, host, port, complaints);
  return {
    port: (server.address() as net.AddressInfo).port,
    stopAccepting: () => void server.close(),
    closed,
  };
}

function tell(reception: Reception, end: Exclude<HandshakeEnd, { kind: 'secure' }>, address: string): void {
  if (end.kind === 'gone') {
    reception.log.debug({ event: 'tcp-gone', address }, 'Connection closed before its first byte');
  } else if (end.kind === 'plaintext') {
    reception.warn('plaintext', address, { reason: end.reason }, `Connection closed: ${address} sent ${end.reason}`);
  } else {
    const message = `TLS handshake with ${address} failed: ${end.reason}`;
    reception.warn('tls-failed', address, { reason: end.reason }, message);
  }
}
