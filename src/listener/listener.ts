import { X509Certificate } from 'node:crypto';
import type { SecureContext } from 'node:tls';
import type { Clock } from '../clock.js';
import type { ListenerConfig, WebConfig } from '../config/config.js';
import type { Log } from '../observe/log.js';
import {
  type CertificateExpiry,
  type CertificatePair,
  type CertificateSource,
  openCertificateSource,
} from './certificate-source.js';
import type { Turns } from './handshake-queue.js';
import { openProxySocketDoor } from './proxy-socket-door.js';
import { openProxyTlsDoor, type ProxyTlsDoor } from './proxy-tls-door.js';
import { type Door, type ListenerWitness, type OnConnection, Reception, type ReceptionLimits } from './reception.js';
import { openTlsDoor } from './tls-door.js';

export interface Listener {
  /** The port in use: what the system chose when the configuration says 0. Null when only a proxy's connections come in. */
  readonly port: number | null;
  /** The same for browsers; null when they have none. */
  readonly webPort: number | null;
  /** Connections from accept to close, those in their handshake included. */
  connections(): number;
  /** Frees the ports and ends handshakes in progress; connections that were handed over go on. */
  stopAccepting(): void;
  /** Ends every connection and lets go of everything. */
  close(): Promise<void>;
  /** Does the certificate in use name this host? */
  isCertified(name: string): boolean;
  /** When the certificates in use end; none, where a proxy has them. */
  certificates(): readonly CertificateExpiry[];
  /** Reads certificate, key and CA again, now. Never rejects: unusable files leave the old ones in use, and a log line. */
  reload(): Promise<void>;
  /** What this source says is shown from now on; the former one is closed. */
  useCertificates(certificates: CertificateSource): void;
  /** The limits that it was given have other values now. */
  limitsChanged(): void;
}

/** What all doors show, wherever it is from. */
class ReplaceableSource implements CertificateSource {
  #source: CertificateSource;
  #parsed: { readonly of: CertificatePair; readonly certificate: X509Certificate } | null = null;

  constructor(source: CertificateSource) {
    this.#source = source;
  }

  replace(other: CertificateSource): void {
    this.#source.close();
    this.#source = other;
  }

  context(): SecureContext {
    return this.#source.context();
  }

  pair(): CertificatePair {
    return this.#source.pair();
  }

  /** Does the server's certificate name this host? */
  names(host: string): boolean {
    const pair = this.#source.pair();
    if (this.#parsed?.of !== pair) this.#parsed = { of: pair, certificate: new X509Certificate(pair.certPem) };
    return this.#parsed.certificate.checkHost(host) !== undefined;
  }

  expiries(): readonly CertificateExpiry[] {
    return this.#source.expiries();
  }

  reload(): Promise<void> {
    return this.#source.reload();
  }

  close(): void {
    this.#source.close();
  }
}

export interface ListenerOptions {
  readonly config: ListenerConfig;
  readonly limits: ReceptionLimits;
  readonly log: Log;
  readonly clock: Clock;
  /** Instead of the files that the configuration names. */
  readonly certificates?: CertificateSource;
  readonly onConnection: OnConnection;
  readonly turns: Turns;
  /** A second port, for browsers: the same certificate, limits and deadlines. */
  readonly web?: { readonly config: Pick<WebConfig, 'host' | 'port'>; readonly onConnection: OnConnection };
  readonly witness?: ListenerWitness;
}

/**
 * Listens for TLS from clients, for what a proxy relays, or both. Plaintext comes in by a Unix socket alone. Throws
 * `UsageError` when certificate, key, host, port or socket won't do.
 */
export async function openListener(options: ListenerOptions): Promise<Listener> {
  const { config, log, clock, web } = options;
  const { cert, key, ca, proxy } = config;
  const reception = new Reception(options);
  const doors: Door[] = [];
  let certificates: ReplaceableSource | null = null;
  let clients: Door | null = null;
  let browsers: Door | null = null;
  let proxyTls: ProxyTlsDoor | null = null;

  const letGo = async () => {
    for (const door of doors) door.stopAccepting();
    certificates?.close();
    proxyTls?.close();
    reception.close();
    await Promise.all(doors.map(({ closed }) => closed));
  };

  try {
    // Behind a proxy on the same machine there may be none: it is the proxy that ends TLS.
    if (!proxy.exclusive || proxy.port !== 0 || web !== undefined) {
      certificates = new ReplaceableSource(
        options.certificates ?? (await openCertificateSource({ files: { cert, key, ca }, log, clock })),
      );
    }
    if (proxy.socket !== '') doors.push(await openProxySocketDoor(reception, proxy));
    if (proxy.port !== 0) {
      proxyTls = await openProxyTlsDoor(reception, proxy, certificates!);
      doors.push(proxyTls);
    }
    const context = () => certificates!.context();
    if (!proxy.exclusive) {
      const complaints = { host: 'listener.host:', port: 'listener.port: port', usual: 'MQTT: 8883' };
      clients = await openTlsDoor(reception, { host: config.host, port: config.port, context, complaints });
      doors.push(clients);
    }
    if (web !== undefined) {
      const { host, port } = web.config;
      const complaints = { host: 'web.host:', port: 'web.port: port', usual: 'pages: 8443' };
      browsers = await openTlsDoor(reception, { host, port, context, complaints, to: web.onConnection });
      doors.push(browsers);
    }
  } catch (error) {
    await letGo();
    throw error;
  }

  return {
    port: clients?.port ?? null,
    webPort: browsers?.port ?? null,
    connections: () => reception.connections,
    certificates: () => certificates?.expiries() ?? [],
    isCertified: (name) => certificates?.names(name) === true,
    stopAccepting() {
      for (const door of doors) door.stopAccepting();
      reception.stopAccepting();
    },
    async reload() {
      await certificates?.reload();
      await proxyTls?.reload();
    },
    useCertificates(other) {
      if (certificates === null) other.close();
      else certificates.replace(other);
    },
    limitsChanged: () => reception.limitsChanged(),
    close: letGo,
  };
}

/** For the log: where clients come in, and where a proxy hands them over. */
export function doorsOf({ proxy }: ListenerConfig, { port, webPort }: Pick<Listener, 'port' | 'webPort'>): object {
  return {
    ...(port === null ? {} : { port }),
    ...(webPort === null ? {} : { webPort }),
    ...(proxy.socket === '' ? {} : { proxySocket: proxy.socket }),
    ...(proxy.port === 0 ? {} : { proxyPort: proxy.port }),
  };
}
