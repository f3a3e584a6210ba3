import net from 'node:net';
import tls, { type TLSSocket } from 'node:tls';
import type { ListenerConfig } from '../config/config.js';
import { UsageError } from '../errors.js';
import { stateOf, watchFiles } from '../file-watch.js';
import { LIVENESS_ANSWER } from '../liveness.js';
import { networkOf, normalizeAddress } from '../network.js';
import { Admission } from './admission.js';
import { listenTcp } from './bind.js';
import { readBundle } from './bundle.js';
import type { CertificatePair, CertificateSource } from './certificate-source.js';
import { handshakeFailure } from './handshake-failure.js';
import { type ProxyArrival, receiveProxyHeader } from './proxy-arrival.js';
import { whyItGaveUp, whyNotAProxy } from './proxy-trust.js';
import type { Door, Reception } from './reception.js';
import { readPemFile, secureOptions } from './secure-context.js';

/**
 * Proxies may look whether a broker lives, also when it has as many clients as it may: not being let in would be its end
 * to them, and that of all its clients.
 */
const CHECKS = 64;

export interface ProxyTlsDoor extends Door {
  /** Reads the CA of the proxies again. Never rejects. */
  reload(): Promise<void>;
  close(): void;
}

/** What came in, from accept on. */
interface Arriving {
  readonly raw: net.Socket;
  readonly address: string;
  readonly port: number;
  /** What the header in front of TLS said. */
  relayed: ProxyArrival | null;
  cancelDeadline: () => void;
  /** It has shown its certificate, or is gone. */
  proven: () => void;
}

const tooManyUnproven =
  'its network has as many connections that showed no certificate yet as limits.connectionsPerAddress allows';

/**
 * Where a proxy on another machine brings clients in: over TLS, with a certificate of its own. The header stands in
 * front of the handshake, as HAProxy and nginx send it, or behind it; not one byte of a client is read before the
 * proxy's certificate was found good. Throws `UsageError` when host, port or CA won't do.
 *
 * Unlike the clients' door this is a `tls.Server`: only there Node.js tells what OpenSSL thinks of a peer's certificate.
 */
export async function openProxyTlsDoor(
  reception: Reception,
  proxy: ListenerConfig['proxy'],
  certificates: CertificateSource,
): Promise<ProxyTlsDoor> {
  const { clock, log, limits } = reception;
  const key = 'listener.proxy.ca';
  let seen = await stateOf([proxy.ca]);
  let authorities = await readAuthorities(proxy.ca);
  let pair: CertificatePair = certificates.pair();
  const mayConnect = allowed(proxy.addresses);
  /** By the proxy's address and port, which is all that a secure socket tells of its TCP connection. */
  const arriving = new Map<string, Arriving>();
  const options = () => secureOptions(pair, [authorities]);
  /** Where anybody may connect from, who has shown no certificate yet is anybody: a network has as many as it may of clients. */
  const unproven = new Admission(proxy.addresses.length > 0 ? { connectionsPerAddress: Infinity } : limits);

  const secure = tls.createServer({
    ...options(),
    // Refused below, where there is a reason to tell.
    ...{ requestCert: true, rejectUnauthorized: false, handshakeTimeout: limits.handshakeTimeoutMs },
  });
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (raw) => {
    const { remoteAddress, remotePort = 0 } = raw;
    if (remoteAddress === undefined) return void raw.destroy();
    const it: Arriving = {
      ...{ raw, address: normalizeAddress(remoteAddress), port: remotePort, relayed: null, proven: () => {} },
      // One for all that has to happen until a client is there.
      cancelDeadline: clock.after(limits.handshakeTimeoutMs, () =>
        refuse(it, `not complete after ${limits.handshakeTimeoutMs} ms`),
      ),
    };
    raw.on('error', ignore).once('close', it.cancelDeadline);
    if (!mayConnect(it.address)) return refuse(it, 'the address is not among listener.proxy.addresses');
    if (!countUnproven(it)) return refuse(it, tooManyUnproven);
    if (reception.enter(raw, CHECKS)) firstBytes(it);
  });

  function countUnproven(it: Arriving): boolean {
    const network = networkOf(it.address);
    if (!unproven.admit(network, CHECKS)) return false;
    let counted = true;
    it.proven = () => {
      if (counted) unproven.release(network);
      counted = false;
    };
    it.raw.once('close', it.proven);
    return true;
  }

  /** Whichever comes first: the header, or TLS. */
  function firstBytes(it: Arriving): void {
    const { raw } = it;
    const gone = () => raw.destroy();
    raw.once('end', gone).once('data', (bytes: Buffer) => {
      raw.off('end', gone).pause().unshift(bytes);
      if (bytes[0] === 22) begin(it);
      else header(raw, it, (relayed) => behindHeader(Object.assign(it, { relayed })));
    });
  }

  /** TLS; or, of the proxy itself, the question whether anybody is at work here. */
  function behindHeader(it: Arriving): void {
    if (it.relayed?.kind !== 'own') return void begin(it);
    const { raw } = it;
    raw.once('data', (bytes: Buffer) => {
      if (bytes[0] === LIVENESS_ANSWER[0]) return void raw.end(LIVENESS_ANSWER);
      raw.pause().unshift(bytes);
      begin(it);
    });
    raw.resume();
  }

  function begin(it: Arriving): void {
    if (!unproven.fits(networkOf(it.address))) return void refuse(it, tooManyUnproven);
    if (!reception.fits(it.raw)) return;
    if (pair !== certificates.pair()) {
      pair = certificates.pair();
      secure.setSecureContext(options());
    }
    const id = idOf(it.raw);
    arriving.set(id, it);
    it.raw.once('close', () => arriving.delete(id));
    secure.emit('connection', it.raw);
  }

  secure.on('secureConnection', (socket: TLSSocket) => {
    const it = arriving.get(idOf(socket));
    if (it === undefined) return void socket.destroy();
    arriving.delete(idOf(socket));
    socket.on('error', ignore);
    const why = whyNotAProxy(socket, proxy.names);
    if (why !== null) return refuse(it, why);
    it.proven();
    if (it.relayed === null) header(socket, it, (relayed) => handOver(it, socket, relayed));
    else if (it.relayed.kind === 'relayed') handOver(it, socket, it.relayed);
    else firstWord(it, socket);
  });
  secure.on('tlsClientError', (error, socket) => {
    const it = arriving.get(idOf(socket));
    socket.destroy();
    if (it !== undefined) refuse(it, whyItGaveUp(error) ?? handshakeFailure(error));
  });

  function header(socket: net.Socket, it: Arriving, then: (arrival: ProxyArrival) => void): void {
    receiveProxyHeader(socket, { clock, timeoutMs: limits.handshakeTimeoutMs }, (arrival) => {
      if (arrival.kind === 'relayed' || arrival.kind === 'own') return then(arrival);
      if (arrival.kind === 'gone') it.raw.destroy();
      else refuse(it, arrival.reason);
    });
  }

  /** Most of what a proxy opens for itself are checks that never say one. */
  function firstWord(it: Arriving, socket: TLSSocket): void {
    const gone = () => it.raw.destroy();
    socket.once('end', gone).once('data', (bytes: Buffer) => {
      socket.off('end', gone).pause().unshift(bytes);
      handOver(it, socket, { kind: 'own' });
    });
  }

  function handOver(it: Arriving, socket: TLSSocket, arrival: ProxyArrival): void {
    const relayed = arrival.kind === 'relayed';
    const address = relayed ? normalizeAddress(arrival.address) : it.address;
    if (!reception.admit(it.raw, networkOf(address))) return;
    it.cancelDeadline();
    socket.off('error', ignore).resume();
    reception.handOver(it.raw, socket, { address, port: relayed ? arrival.port : it.port, transport: 'proxy' });
  }

  function refuse({ raw, address }: Arriving, reason: string): void {
    arriving.delete(idOf(raw));
    raw.destroy();
    reception.warn(
      'proxy-refused',
      address,
      { reason },
      `Connection closed on listener.proxy.port: ${address}: ${reason}`,
    );
  }

  reception.watch(server, CHECKS);
  const closed = new Promise<void>((resolve) => server.once('close', resolve));
  const complaints = { host: 'listener.proxy.host:', port: 'listener.proxy.port: port', usual: 'MQTT: 8883' };
  await listenTcp(server, proxy.host, proxy.port, complaints);

  async function reload(): Promise<void> {
    const state = await stateOf([proxy.ca]);
    try {
      authorities = await readAuthorities(proxy.ca);
      secure.setSecureContext(options());
      log.info({ file: proxy.ca }, `${key}: read again`);
    } catch (error) {
      log.error(
        { file: proxy.ca },
        `The new CA of the proxies is not used, the old one stays: ${(error as Error).message}`,
      );
    }
    seen = state;
  }
  const stopWatching = watchFiles({ files: [proxy.ca], clock, seen: () => seen, onChange: reload });

  return {
    port: (server.address() as net.AddressInfo).port,
    stopAccepting: () => void server.close(),
    reload,
    close: stopWatching,
    closed,
  };
}

/** What a TCP connection and the secure one that it carries have in common. */
const idOf = ({ remoteAddress, remotePort }: net.Socket) => `${remoteAddress} ${remotePort}`;

async function readAuthorities(file: string): Promise<string> {
  const pem = await readPemFile('listener.proxy.ca', file);
  try {
    readBundle(pem);
  } catch (cause) {
    throw new UsageError(`listener.proxy.ca: ${file} is unusable: ${(cause as Error).message}. Expected: a PEM file.`, {
      code: 'E_CERTIFICATE',
      cause,
    });
  }
  return pem;
}

/** Whether a connection from the address is a proxy's: from any, when there is no list. */
function allowed(networks: readonly string[]): (address: string) => boolean {
  if (networks.length === 0) return () => true;
  const list = new net.BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/', 2);
    const family = net.isIPv6(address) ? 'ipv6' : 'ipv4';
    list.addSubnet(address, Number(bits ?? (family === 'ipv6' ? 128 : 32)), family);
  }
  return (address) => list.check(address, net.isIPv6(address) ? 'ipv6' : 'ipv4');
}

function ignore(): void {}
