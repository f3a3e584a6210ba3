/** The whole configuration, after defaults are filled in and relative paths resolved. Durations are milliseconds. */
export interface Config {
  readonly listener: ListenerConfig;
  readonly credentials: CredentialsConfig;
  readonly acl: readonly AclRuleConfig[];
  readonly storage: StorageConfig;
  readonly log: LogConfig;
  readonly admin: AdminConfig;
  readonly limits: LimitsConfig;
}

export interface ListenerConfig {
  readonly host: string;
  readonly port: number;
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

export interface CredentialsConfig {
  readonly backend: 'file' | 'ldap' | 'api';
  /** A regular expression that the whole login must match, before any backend is asked. */
  readonly loginPattern: string;
  readonly file: { readonly path: string };
  readonly ldap: LdapConfig;
  readonly api: ApiConfig;
  /** How long one question to the backend may take before the client is told that the server is unavailable. */
  readonly timeoutMs: number;
  /** Questions to the backend at the same time; the others wait their turn. */
  readonly concurrency: number;
  readonly cache: {
    /** How long an accepted login is believed without asking again; 0 turns the cache off. */
    readonly ttlMs: number;
    /** How long an accepted login may still be believed while the backend is down. */
    readonly staleMs: number;
    readonly maxEntries: number;
  };
  readonly throttle: {
    /** Failed logins of one login from one address before further ones are refused unasked. */
    readonly maxFailures: number;
    readonly windowMs: number;
  };
  /** How often the entitlement of live sessions is checked again; 0 turns it off. */
  readonly revalidateMs: number;
}

export interface LdapConfig {
  /** Tried in order: `ldaps://host:636` or `ldap://host:389`. */
  readonly urls: readonly string[];
  readonly startTls: boolean;
  /** CA bundle for ldaps and StartTLS; empty: the system's. */
  readonly ca: string;
  /** Direct bind: `uid=%u,ou=People,dc=senslab,dc=info`. Used when `searchBase` is empty. */
  readonly bindDn: string;
  /** Search then bind: where and how the entry is found. `%u` is the login as typed. */
  readonly searchBase: string;
  readonly searchFilter: string;
  readonly serviceDn: string;
  readonly servicePasswordFile: string;
  /** Name of the environment variable that holds the service account's password. */
  readonly servicePasswordEnv: string;
  readonly loginAttribute: string;
  /** Optional extra filter that the user's entry must match, e.g. `(memberOf=cn=mqtt,ou=Groups,dc=senslab,dc=info)`. */
  readonly groupFilter: string;
  readonly connectTimeoutMs: number;
  readonly bindTimeoutMs: number;
  readonly searchTimeoutMs: number;
  readonly poolSize: number;
}

export interface ApiConfig {
  /** `GET <url>/user` with HTTP Basic. */
  readonly url: string;
  readonly ca: string;
  readonly timeoutMs: number;
}

export interface AclRuleConfig {
  readonly access: 'read' | 'write' | 'readwrite';
  readonly topic: string;
}

export interface StorageConfig {
  /** A folder, or `memory`. */
  readonly path: string;
  /** Persistent sessions whose client does not return for this long are forgotten. */
  readonly sessionExpiryMs: number;
}

export interface LogConfig {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
  /** `auto`: pretty on a terminal, JSON otherwise. */
  readonly format: 'auto' | 'pretty' | 'json';
}

export interface AdminConfig {
  /** Health over HTTP; port 0 turns it off. */
  readonly host: string;
  readonly port: number;
}

export interface LimitsConfig {
  readonly handshakeTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly connections: number;
  readonly connectionsPerAddress: number;
  readonly connectionsPerUser: number;
  readonly packetBytes: number;
  readonly inflightMessages: number;
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  readonly queuedBytesPerUser: number;
  readonly sessionsPerUser: number;
  readonly subscriptionsPerSession: number;
  readonly subscriptionsPerUser: number;
  readonly retainedMessagesPerUser: number;
  readonly retainedBytesPerUser: number;
  /** How long a subscriber may take to drain before it is disconnected while its outbox is full. */
  readonly drainTimeoutMs: number;
  /** How long `stop` may take. */
  readonly stopTimeoutMs: number;
}
