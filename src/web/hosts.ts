import { isIP } from 'node:net';
import type { WebConfig } from '../config/config.js';
import { networkOf } from '../network.js';
import type { Log } from '../observe/log.js';
import type { RateLimited } from '../observe/rate-limited.js';

/** Browsers look these up nowhere (RFC 6761, 6.3). */
const LOOPBACK = /^(?:.+\.)?localhost$/;

export interface HostsOptions {
  /** Whether the certificate in use names this host. */
  readonly isCertified: (name: string) => boolean;
  readonly log: Log;
  readonly noisyLog: RateLimited;
}

/**
 * By which names this port may be called. Whoever owns a name can have it lead here, and a page of that name could then
 * ask as if it were one of ours (DNS rebinding); so a name that nobody here has given is answered nothing. Addresses
 * are looked up nowhere, and only browsers can be led astray, which always say where they believe to be.
 */
export class Hosts {
  readonly #options: HostsOptions;
  #config: WebConfig;

  constructor(options: HostsOptions, config: WebConfig) {
    this.#options = options;
    this.#config = config;
  }

  configure(config: WebConfig): void {
    this.#config = config;
  }

  /** What is wrong with the Host of a request; null: nothing. The log says what helps. */
  complaint(host: string | undefined, address: string): string | null {
    if (host === undefined || this.#knows(host)) return null;
    const { log, noisyLog } = this.#options;
    const shown = host.slice(0, 100);
    noisyLog.network(networkOf(address)).line(`host ${shown}`, (suppressed) => {
      const more = suppressed > 0 ? { suppressed } : {};
      const remedy = 'if people are to reach it by that name, put it into the certificate or into web.names';
      log.warn({ address, host: shown, ...more }, `request for another host refused; ${remedy}`);
    });
    return `${JSON.stringify(shown)} is no name of this port: those of its certificate and of web.names are, and addresses`;
  }

  #knows(host: string): boolean {
    const name = nameIn(host);
    if (name === null) return false;
    if (isIP(name) !== 0 || LOOPBACK.test(name)) return true;
    const { host: ownHost, names } = this.#config;
    const isIt = (known: string) => known.toLowerCase() === name;
    return isIt(ownHost) || names.some(isIt) || this.#options.isCertified(name);
  }
}

/** Without the port; null: it cannot be a host. */
function nameIn(host: string): string | null {
  const found = /^(?:\[([\da-f:.]+)\]|([^:[\]]+))(?::\d{1,5})?$/i.exec(host);
  const name = found?.[1] ?? found?.[2];
  return name === undefined ? null : name.toLowerCase().replace(/\.$/, '');
}
