import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { issueAuthority, issueFor, type KeyType, type Pair, type Purpose, toPem, type Validity } from './issue.js';

export const dayMs = 86_400_000;
const authorityDays = 3650;
/** By its name a development CA is known as one that this program made. */
export const developmentAuthority = 'iotlab-broker development CA';
/** The longest that clients which follow the CA/Browser Forum's older rule accept from a private authority. */
export const serverDays = 825;

/** PEM, each. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

/** Valid from yesterday on unless told otherwise, so that a client whose clock is slow accepts the certificate too. */
export interface IssueRequest extends Partial<Validity> {
  /** DNS names and IP addresses; the defaults are those of `serverNames()`. */
  readonly names?: readonly string[];
  readonly keyType?: KeyType;
  /** `server` unless told otherwise. */
  readonly purpose?: Purpose;
}

export interface AuthorityRequest extends Partial<Validity> {
  readonly name?: string;
  readonly keyType?: KeyType;
}

/** A certificate authority in memory. */
export interface Authority extends Issued {
  issue(request?: IssueRequest): Issued;
}

/** Where the broker's certificates are: `listener.cert`, `listener.key` and `listener.ca` of the configuration. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** Under which names clients of the testbed and of a laptop reach the broker. */
export function serverNames(extra: readonly string[] = []): string[] {
  const testbed = ['mqtt.iot-lab.info', 'mqtt4.iot-lab.info', 'mqtt6.iot-lab.info'];
  const own = hostname().toLowerCase();
  const names = ['localhost', '127.0.0.1', '::1', ...testbed, ...(isName(own) ? [own] : []), ...extra];
  return [...new Set(names)];
}

export function isName(name: string): boolean {
  if (isIP(name) !== 0) return !name.includes('%');
  return (
    name.length <= 253 &&
    /^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i.test(name)
  );
}

/** A new authority; nothing is written. */
export function makeAuthority(options: AuthorityRequest = {}): Authority {
  const { name = developmentAuthority, keyType = 'ec' } = options;
  return authorityOf(issueAuthority(name, keyType, validFor(authorityDays, options)));
}

export function authorityOf(pair: Pair): Authority {
  return {
    ...toPem(pair),
    issue(request = {}) {
      const { names = serverNames(), keyType = 'ec', purpose = 'server' } = request;
      return toPem(issueFor(purpose, pair, 'iotlab-broker', names, keyType, validFor(serverDays, request)));
    },
  };
}

function validFor(days: number, { notBefore, notAfter }: Partial<Validity>): Validity {
  return {
    notBefore: notBefore ?? new Date(Date.now() - dayMs),
    notAfter: notAfter ?? new Date(Date.now() + days * dayMs),
  };
}
