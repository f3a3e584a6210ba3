import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { ClientConfig } from 'pg';
import { UsageError } from './errors.js';

/** Where the database is: several hosts, of which one is the primary at a time. */
export interface PostgresPlace {
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  readonly user: string | undefined;
  readonly database: string;
  /** False where the connection does not leave the machine. */
  readonly ssl: boolean;
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
}

const shape = /^postgres(?:ql)?:\/\/(?:([^@/:]+)@)?([^/@]+)\/([^?/]+)(?:\?(.*))?$/;
const withPassword = /^postgres(?:ql)?:\/\/[^@/]*:[^@/]*@/;
const parameters = new Set(['sslmode', 'sslrootcert', 'sslcert', 'sslkey']);
const DEFAULT_PORT = 5_432;

/** Why `storage.url` will not do, or null. */
export function whyNotAPostgresUrl(url: string): string | null {
  try {
    parsePostgresUrl(url);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * Reads `postgres://USER@HOST:PORT,HOST:PORT/DATABASE?sslrootcert=FILE`. A password has no place in it: PGPASSWORD or
 * ~/.pgpass has it. Over a network there is TLS, with the server's certificate and name checked, or nothing.
 */
export function parsePostgresUrl(url: string): PostgresPlace {
  if (withPassword.test(url)) throw new Error('has a password in it: PGPASSWORD or ~/.pgpass is the place for that');
  const [, user, list = '', database = '', query = ''] = shape.exec(url) ?? [];
  if (database === '') throw new Error('is not of the form postgres://USER@HOST:PORT,HOST:PORT/DATABASE');
  const hosts = list.split(',').map(hostAndPort);
  const given = new URLSearchParams(query);
  for (const name of given.keys()) {
    if (!parameters.has(name)) throw new Error(`has "${name}", and knows ${[...parameters].join(', ')}`);
  }
  const local = hosts.every(({ host }) => isLocal(host));
  const mode = given.get('sslmode') ?? (local ? 'disable' : 'verify-full');
  if (mode !== 'verify-full' && !(mode === 'disable' && local)) {
    throw new Error('needs sslmode=verify-full: a database on another machine is reached by TLS alone');
  }
  return {
    ...{
      hosts,
      user: user === undefined ? undefined : decodeURIComponent(user),
      database: decodeURIComponent(database),
    },
    ...{
      ssl: mode === 'verify-full',
      ca: given.get('sslrootcert'),
      cert: given.get('sslcert'),
      key: given.get('sslkey'),
    },
  };
}

function hostAndPort(text: string): { host: string; port: number } {
  const [, host = '', port = `${DEFAULT_PORT}`] = /^(\[[^\]]+\]|[^:]+)(?::(\d+))?$/.exec(text) ?? [];
  if (host === '' || Number(port) < 1 || Number(port) > 65_535) throw new Error(`has a host that is none: ${text}`);
  return { host: decodeURIComponent(host.replace(/^\[|\]$/g, '')), port: Number(port) };
}

/** A name that is made up for this machine, an address of its loopback interface, or a folder of Unix sockets. */
function isLocal(host: string): boolean {
  if (host.startsWith('/') || host === 'localhost' || host === '::1') return true;
  return isIP(host) === 4 && host.startsWith('127.');
}

/** How to connect to one of the hosts. Files are read each time: a renewed certificate is used from then on. */
export function clientConfig(place: PostgresPlace, { host, port }: PostgresPlace['hosts'][number]): ClientConfig {
  const { user, database, ssl, ca, cert, key } = place;
  return {
    ...{ host, port, database, ...(user === undefined ? {} : { user }) },
    ...{ connectionTimeoutMillis: 2_000, keepAlive: true, keepAliveInitialDelayMillis: 1_000 },
    application_name: `iotlab-broker ${process.pid}`,
    ssl: ssl && {
      ...{ rejectUnauthorized: true, minVersion: 'TLSv1.2', servername: isIP(host) === 0 ? host : '' },
      ...(ca === null ? {} : { ca: read('sslrootcert', ca) }),
      ...(cert === null ? {} : { cert: read('sslcert', cert) }),
      ...(key === null ? {} : { key: read('sslkey', key) }),
    },
  };
}

function read(name: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new UsageError(`storage.url: ${name}: ${file} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
