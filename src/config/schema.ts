import { whyNotAGroupName } from '../group-name.js';
import { whyNotARuleTopic } from '../mqtt/rule-topic.js';
import { whyNotAPostgresUrl } from '../postgres-url.js';
import { cluster } from './cluster-schema.js';
import { limits, userLimits } from './limits-schema.js';
import { listener } from './listener-schema.js';
import { atStart, choice, duration, durationMs, flag, integer, path, rows, section, text, texts } from './node.js';
import { people } from './people-schema.js';
import { web } from './web-schema.js';

const day = 24 * 60 * 60 * 1000;

/*
 * The one place where a key is declared: its type, default, check and description. config.ts derives the types;
 * validate.ts, defaults.ts and reference.ts walk it. Default paths are relative to the package's folder.
 */

const ldap = section('Used with "backend: ldap".', {
  urls: texts(['ldaps://localhost:636'], 'Servers, tried in this order.', {
    accepts: 'ldap://host[:port] or ldaps://host[:port]',
    problem: urlProblem(['ldap:', 'ldaps:']),
  }),
  startTls: flag(false, 'Turn an ldap:// connection into TLS before anything else is said.'),
  ca: path('', 'CA bundle (PEM) for ldaps:// and StartTLS; empty means those that Node.js trusts.', { empty: true }),
  bindDn: text('uid=%u,ou=People,dc=senslab,dc=info', 'Entry of a user, %u being the login. Used without searchBase.', {
    problem: (it) => (it.includes('%u') ? null : 'has no %u where the login belongs'),
  }),
  searchBase: text('', 'Search the entry below this one, then bind as it; empty binds as bindDn at once.', {
    empty: true,
  }),
  searchFilter: text('(uid=%u)', 'How the search finds the entry of the login %u. Two entries are a refusal.', {
    problem: (it) => (it.includes('%u') ? null : 'has no %u where the login belongs'),
  }),
  serviceDn: text('', 'Account that searches; empty searches anonymously.', { empty: true }),
  servicePasswordFile: path('', 'File with the password of serviceDn, on its first line.', { empty: true }),
  servicePasswordEnv: text('', 'Name of the environment variable that holds it instead.', { empty: true }),
  loginAttribute: text('uid', 'Attribute with the canonical login: the tree is iotlab/<its value>.'),
  mailAttribute: text('mail', 'A login with "@" is looked up here and mapped to loginAttribute; empty refuses it.', {
    empty: true,
  }),
  groupFilter: text(
    '',
    'Filter that the entry must match too, such as (memberOf=cn=mqtt,ou=Groups,dc=senslab,dc=info).',
    {
      empty: true,
    },
  ),
  groupsAttribute: text(
    '',
    "Attribute of a user's entry that names the user's groups, such as memberOf; of a DN its first value counts.",
    { empty: true },
  ),
  groupsBase: text('', 'Groups are entries below this one; those elsewhere do not count.', { empty: true }),
  groupsFilter: text(
    '',
    "How a search below groupsBase finds a user's groups, %u being the login and %d the DN, such as (memberUid=%u) or (member=%d).",
    { empty: true, problem: (it) => (/%[ud]/.test(it) ? null : 'has neither %u nor %d for the user') },
  ),
  groupsNameAttribute: text('cn', "Attribute with a group's name, where groupsFilter finds groups."),
  connectTimeoutMs: durationMs(2_000, 'Longest wait for a connection to one server, TLS included.'),
  bindTimeoutMs: durationMs(3_000, 'Longest wait for the answer to a bind.'),
  searchTimeoutMs: durationMs(3_000, 'Longest wait for the answer to a search.'),
  maxBackoffMs: durationMs(30_000, 'Longest time for which a failed server is passed over while another one answers.'),
  poolSize: integer(4, 'Connections kept open for searches.', { min: 1, max: 100 }),
});

const api = section('Used with "backend: api".', {
  url: text('', "The testbed's web API: GET <url>/user with HTTP Basic, such as https://www.example.org/api.", {
    empty: true,
    accepts: 'an https:// or http:// URL',
    problem: urlProblem(['https:', 'http:']),
  }),
  ca: path('', 'CA bundle (PEM) for https://; empty means those that Node.js trusts.', { empty: true }),
  timeoutMs: durationMs(4_000, 'Longest wait for an answer.'),
});

const credentials = section('Who may log in.', {
  backend: atStart(choice('file', 'Who knows the passwords.', ['file', 'ldap', 'api'])),
  loginPattern: text(
    '^[a-z][a-z0-9]{3,19}$',
    'Regular expression for the whole login, checked before anybody is asked.',
    {
      accepts: 'a regular expression',
      problem: patternProblem,
    },
  ),
  file: section('Used with "backend: file".', {
    path: path('data/users', 'The users and their password hashes; `iotlab-broker user` edits it.'),
  }),
  ldap,
  api,
  timeoutMs: durationMs(5_000, 'Longest wait for the backend; then the client hears "server unavailable".'),
  concurrency: integer(16, 'Questions to the backend at the same time; further ones wait their turn.', {
    min: 1,
    max: 1_000,
  }),
  cache: section('Accepted logins that are not asked about again. Passwords are never kept.', {
    ttlMs: durationMs(60_000, 'How long; 0 turns the cache off.', { min: 0 }),
    staleMs: durationMs(300_000, 'How long while the backend is down.', { min: 0 }),
    maxEntries: integer(10_000, 'How many.', { min: 1 }),
  }),
  throttle: section('Against guessing passwords.', {
    maxFailures: integer(10, 'Wrong passwords for one login from one address; then one a second is tried.', { min: 1 }),
    windowMs: durationMs(60_000, 'Failures older than this are forgotten.'),
  }),
  revalidateMs: durationMs(900_000, 'How often live sessions are checked again; 0 never does.', { min: 0 }),
});

const groups = rows(
  'Groups that rules may name. The users file and the directory may have more, and more members of these.',
  section('One group.', {
    name: text('', 'What it is called; neither case nor width makes a difference.', {
      accepts: 'a name',
      problem: whyNotAGroupName,
    }),
    users: texts([], 'Logins of its members.', { accepts: 'a login' }),
  }),
  [],
);

const acl = rows(
  'Who may read and write where: topic filters with %u for the login. What no rule grants is denied. Without users and groups a rule is for everybody. To reach into the trees of others a rule has to write out what is above them, as iotlab/+/# does and # does not.',
  section('One rule.', {
    access: choice('readwrite', 'What the rule grants.', ['read', 'write', 'readwrite']),
    topic: text('iotlab/%u/#', 'Topic filter; "iotlab/%u/#" covers "iotlab/alice" and all below it.', {
      accepts: 'a topic filter',
      problem: whyNotARuleTopic,
    }),
    ...people,
  }),
  [{ access: 'readwrite', topic: 'iotlab/%u/#' }],
);

const storage = section('What survives a restart: sessions, their queues, retained messages.', {
  path: atStart(path('data/store', 'Folder of the store; "memory" keeps nothing.', { words: ['memory'] })),
  url: atStart(
    text('', 'PostgreSQL instead of a folder; docs/cluster.md. A password is in PGPASSWORD or ~/.pgpass.', {
      empty: true,
      accepts: "postgres://USER@HOST:PORT,HOST:PORT/DATABASE?sslrootcert=FILE or ''",
      problem: whyNotAPostgresUrl,
    }),
  ),
  sessionExpiryMs: duration(14 * day, 'Sessions whose client stays away for longer are forgotten.', {
    min: 1_000,
  }),
});

const log = section('The log goes to standard output.', {
  level: choice('info', 'The least important lines to write.', [
    'trace',
    'debug',
    'info',
    'warn',
    'error',
    'fatal',
    'silent',
  ]),
  format: atStart(choice('auto', '"auto" is pretty on a terminal and JSON elsewhere.', ['auto', 'pretty', 'json'])),
});

const admin = section(
  'For operators: what iotlab-broker status, clients, kick and the like ask, and health and metrics.',
  {
    socket: path('data/admin.sock', 'Unix socket that the commands ask, for its owner only; empty makes none.', {
      empty: true,
    }),
    auditFile: path('data/audit.jsonl', 'Who changed what, or was refused, one line of JSON each; empty keeps none.', {
      empty: true,
    }),
    bansFile: path(
      'data/bans.json',
      'Whom iotlab-broker ban keeps out, over restarts too; empty: only until the next.',
      {
        empty: true,
      },
    ),
    tokenFile: path('data/admin.token', 'Token for all but health and totals at the port; made if it is not there.', {
      empty: true,
    }),
    names: texts([], 'Names, besides localhost and addresses, by which programs may call the port.', {
      accepts: 'a host name in small letters',
      problem: (it) => (/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(it) ? null : ''),
    }),
    host: text('127.0.0.1', 'Health and metrics over plain HTTP: the address; keep it on the loopback interface.'),
    port: integer(9883, 'Their TCP port; 0 turns it off.', { max: 65_535 }),
  },
);

export const configSchema = section('Configuration of iotlab-broker.', {
  listener,
  credentials,
  groups,
  acl,
  storage,
  cluster: atStart(cluster),
  log,
  web,
  admin: atStart(admin),
  limits,
  userLimits,
});

function urlProblem(protocols: readonly string[]): (value: string) => string | null {
  return (value) => {
    if (!URL.canParse(value)) return '';
    const url = new URL(value);
    if (url.username !== '' || url.password !== '')
      return 'has a user name or password in it: they do not belong there';
    return protocols.includes(url.protocol) && url.hostname !== '' ? null : '';
  };
}

function patternProblem(value: string): string | null {
  try {
    new RegExp(value, 'u');
    return null;
  } catch (error) {
    return `is not a regular expression: ${(error as Error).message}`;
  }
}
