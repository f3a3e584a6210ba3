import { join } from 'node:path';
import type { Config } from '../config/config.js';
import { LIVENESS_ANSWER, LIVENESS_QUESTION } from '../liveness.js';
import { SLOTS } from '../shard.js';

/**
 * What HAProxy looks at to find the login: a Will of 64 KB and everything beside it. A larger CONNECT goes to shard 0,
 * which refuses it unless the user belongs there.
 */
const BUFFER_BYTES = 98_304;
/** MQTT's own keepalive ends dead connections; this one is only for clients that have none. */
const TUNNEL_DAYS = 20;
/** Three times without an answer is not quite as long as PostgreSQL waits for a sign of life (`LEASE_MS`). */
const ANSWER_MS = 800;

/** Where HAProxy finds its files, and what is asked of it. */
export interface ProxyFiles {
  readonly config: string;
  /** Certificate, chain and key, in one file. */
  readonly certificate: string;
  /** Mail addresses and the logins that they stand for. */
  readonly mails: string;
  /** Where it answers questions. */
  readonly socket: string;
  /** The Unix socket of a shard on this machine. */
  shard(shard: number): string;
}

export function proxyFiles(folder: string): ProxyFiles {
  return {
    config: join(folder, 'haproxy.cfg'),
    certificate: join(folder, 'front.pem'),
    mails: join(folder, 'mails.map'),
    socket: join(folder, 'haproxy.sock'),
    shard: (shard) => join(folder, `shard-${shard}.sock`),
  };
}

type Settings = Pick<Config, 'listener' | 'cluster' | 'limits'>;

/** HAProxy's configuration: it ends TLS, reads the login out of CONNECT, and hands each client to its shard's broker. */
export function haproxyConfig(config: Settings, files: ProxyFiles, processors: number): string {
  const { listener, limits, cluster } = config;
  const { shards, machines } = cluster;
  const perAddress = limits.connectionsPerAddress;
  const backends = Array.from({ length: shards }, (_, shard) =>
    machines.length === 0 ? localBackend(shard, files) : remoteBackend(shard, config),
  );
  return `# ${shards} shards by login. Made by: iotlab-broker cluster config
global
  nbthread ${threadsOf(config, processors)}
  tune.bufsize ${BUFFER_BYTES}
  # Sessions to resume, instead of tickets, whose keys would be there for as long as HAProxy runs.
  tune.ssl.cachesize 100000
  stats socket ${quoted(files.socket)} mode 600 level admin
  hard-stop-after 30s
  ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256

defaults
  mode tcp
  timeout connect 500ms
  timeout client ${limits.handshakeTimeoutMs + limits.connectTimeoutMs}ms
  timeout server ${limits.handshakeTimeoutMs + limits.connectTimeoutMs}ms
  timeout tunnel ${TUNNEL_DAYS}d
  timeout client-fin 10s
  timeout server-fin 10s
  option clitcpka

# Connections of one address, or with IPv6 of one /64 network, over all shards.
backend addresses
  stick-table type ipv6 size 100k expire 1m store conn_cur

frontend mqtts
  bind ${bindAddress(listener.host, listener.port)} ssl crt ${quoted(files.certificate)}
  tcp-request connection track-sc0 src,ipmask(32,64) table addresses
  tcp-request connection reject if { sc0_conn_cur gt ${perAddress} }
  tcp-request inspect-delay ${limits.connectTimeoutMs}ms
  tcp-request content reject if { req.len gt 0 } !{ req.payload(0,1) -m bin 10 }
  tcp-request content set-var(sess.login) req.payload(0,0),mqtt_field_value(connect,username),lower
  # Whole, and too short for a user name.
  tcp-request content set-var(sess.whole) req.payload(1,1),be2dec(,1),add(2)
  tcp-request content accept if { var(sess.whole),add(0) lt 16 } { req.len,sub(sess.whole) ge 0 }
${bridges().join('\n')}
  tcp-request content set-var(sess.mail) var(sess.login),map_str(${quoted(files.mails)})
  tcp-request content set-var(sess.login) var(sess.mail) if { var(sess.mail) -m found }
  tcp-request content accept if { var(sess.login) -m found }
  # Whole, and without a user name or not valid; or slow: a broker says it better than HAProxy does.
  tcp-request content accept if { req.payload(1,1),be2dec(,1),add(0) lt 128 } { req.len,sub(sess.whole) ge 0 }
  tcp-request content accept if { req.payload(0,0),mqtt_is_valid }
  tcp-request content accept if WAIT_END
  use_backend shard%[var(sess.login),djb2(1),mod(${SLOTS}),mod(${shards})] if { var(sess.login) -m found }
  default_backend shard0

${backends.join('\n')}`;
}

/** Where the level of a bridge's CONNECT stands, and what takes its highest bit away in base64, from `from` on. */
const bridgeLevels = [
  { name: '00044d51545484', at: 2, from: 6, marked: 'VFSE', plain: 'VFQE' },
  { name: '00044d51545484', at: 3, from: 9, marked: 'h', plain: 'B' },
  { name: '00064d514973647083', at: 2, from: 9, marked: 'cI', plain: 'cA' },
  { name: '00064d514973647083', at: 3, from: 9, marked: 'ZHCD', plain: 'ZHAD' },
];

/**
 * A bridge sets the highest bit of the protocol level, and HAProxy knows no such level: it is shown one without. The name
 * of the protocol, and so the level, stands behind one or two bytes of length. In base64, because HAProxy puts texts
 * together and no bytes.
 */
function bridges(): string[] {
  return bridgeLevels.flatMap(({ name, at, from, marked, plain }) => {
    const rule = `if !{ var(sess.login) -m found } { req.payload(${at},${name.length / 2}) -m bin ${name} }`;
    const whole = `req.payload(0,${from}),base64,concat(,sess.rest),b64dec`;
    return [
      `  tcp-request content set-var(sess.rest) req.payload(${from},0),base64,regsub(^${marked},${plain}) ${rule}`,
      `  tcp-request content set-var(sess.login) ${whole},mqtt_field_value(connect,username),lower ${rule}`,
    ];
  });
}

function localBackend(shard: number, files: ProxyFiles): string {
  return `backend shard${shard}
  server local ${quoted(`unix@${files.shard(shard)}`)} send-proxy-v2
`;
}

/**
 * The active broker of a shard listens and its standby does not: nobody listens, and it is known to be gone after two more
 * looks. Who listens and says nothing is waited for until the database, too, takes it for dead; less than that is no
 * reason to cut off all of its clients. What is asked costs neither side a handshake, and so does not wait behind those of
 * clients.
 */
function remoteBackend(shard: number, { listener, cluster }: Settings): string {
  const { proxy } = listener;
  // A standby refuses the connection: that costs nothing, and how soon it is seen to serve is how long users are out. A
  // connection that fails has the server looked at, and not taken for dead: its clients would be cut off for nothing. Who
  // was connected to one that is gone has to know at once.
  const check =
    'check inter 300ms fastinter 30ms downinter 50ms fall 3 rise 1 observe layer4 error-limit 1 on-error fastinter on-marked-down shutdown-sessions';
  const servers = cluster.machines.map(({ host, address = '' }, index) => {
    const name = `server m${index} ${placeOf(address === '' ? host : address, proxy.port + shard)}`;
    const tls = `ssl crt ${quoted(cluster.proxy.certificate)} ca-file ${quoted(listener.ca)} verify required verifyhost ${host}`;
    return `  ${name} ${tls} send-proxy-v2 ${check}`;
  });
  return `backend shard${shard}
  timeout check ${ANSWER_MS}ms
  option tcp-check
  tcp-check connect
  tcp-check send-binary ${LIVENESS_QUESTION.toString('hex')}
  tcp-check expect binary ${LIVENESS_ANSWER.toString('hex')}
  # A broker that starts again is waited for: half a second each. Behind a Unix socket HAProxy would not wait.
  retries 10
  balance first
  option redispatch 1
${servers.join('\n')}
`;
}

function threadsOf({ cluster }: Settings, processors: number): number {
  const left = cluster.machines.length === 0 ? processors - cluster.shards : processors;
  return cluster.proxy.threads === 0 ? Math.max(1, Math.min(64, left)) : cluster.proxy.threads;
}

/** "::" stands for every IPv6 and IPv4 address, as for the broker itself. */
function bindAddress(host: string, port: number): string {
  if (host === '::') return `:::${port} v4v6`;
  return placeOf(host, port);
}

const placeOf = (host: string, port: number) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);

/** One word for HAProxy, whatever is in it. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
