import { join } from 'node:path';
import type { Clock } from '../clock.js';
import type { Config } from '../config/config.js';
import { type DeepPartial, defaultConfig } from '../config/defaults.js';
import { nearest } from '../config/nearest.js';
import { configSchema } from '../config/schema.js';
import { UsageError } from '../errors.js';
import type { LogLine } from './api.js';

/** Options of `startBroker`: those of the configuration, all optional, and the ones that only a test has. */
export interface StartOptions extends DeepPartial<Config> {
  /** Passwords by login; `{ alice: 'secret' }` unless given. */
  readonly users?: Readonly<Record<string, string>>;
  /** The broker's time, for keepalives, expiry and delays: `manual` stands still until `broker.advance(ms)`. */
  readonly clock?: 'manual' | Clock;
  /** How long the `waitFor…` functions wait, in real time, unless told otherwise; 4000 unless given. */
  readonly timeoutMs?: number;
  /** Called with each line that the broker logs, as it logs it; which those are, `log: { level }` says. */
  readonly onLogLine?: (line: LogLine) => void;
}

/**
 * Logins of the service have four characters or more. A test may call its users what it likes, so long as the login can
 * be one level of a topic.
 */
const loginPattern = '^[a-z][a-z0-9]{0,19}$';

/** A test ends quicker than a service: clients that don't take their leave are left. */
const stopTimeoutMs = 1_000;

const testOnly = new Set(['users', 'clock', 'timeoutMs', 'onLogLine']);

/** The configuration of the broker. Throws `UsageError` for what the configuration does not know or accept. */
export async function configOf(options: StartOptions): Promise<Config> {
  refuseUnknown(options);
  const given: DeepPartial<Config> = Object.fromEntries(
    Object.entries(options).filter(([key, value]) => !testOnly.has(key) && value !== undefined),
  );
  const { credentials } = given;
  const merged: DeepPartial<Config> = {
    ...given,
    listener: { host: '127.0.0.1', port: 0, ...given.listener },
    credentials: {
      loginPattern,
      ...credentials,
      // With a memory, an outage would not be noticed by who was here before.
      cache: { ttlMs: 0, staleMs: 0, ...credentials?.cache },
    },
    storage: { path: 'memory', ...given.storage },
    admin: { port: 0, socket: '', auditFile: '', bansFile: '', tokenFile: '', ...given.admin },
    limits: { stopTimeoutMs, ...given.limits },
    log: { level: 'warn', format: 'json', ...given.log },
  };
  // The check reads YAML, which takes long to load, and most tests change nothing of the configuration.
  return Object.keys(given).length === 0 ? defaultConfig(merged) : check(merged);
}

/** Here, and not with the rest: the configuration does not know what only a test has. */
function refuseUnknown(options: StartOptions): void {
  const known = [...testOnly, ...Object.keys(configSchema.keys)];
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const near = nearest(key, known);
    const hint = near === undefined ? `known are ${known.join(', ')}` : `did you mean ${near}?`;
    throw new UsageError(`startBroker: ${key}: unknown option; ${hint}`, { code: 'E_CONFIG' });
  }
}

/** JSON is YAML: the configuration file's own check, with its messages. */
async function check(config: DeepPartial<Config>): Promise<Config> {
  const { parseConfig } = await import('../config/load.js');
  const origin = join(process.cwd(), 'startBroker');
  try {
    return parseConfig(JSON.stringify(config), origin);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const message = error.message.replaceAll(`${origin}:1: `, 'startBroker: ');
    throw new UsageError(message, { code: error.code, cause: error });
  }
}
