/** Why something could not be kept or granted, for whoever asked for it: what is reached, and what helps. */
const limits: Readonly<Record<string, string>> = {
  'too-many-subscriptions':
    'as many filters as are allowed (limits.subscriptionsPerSession, subscriptionsPerUser, memoryPerUser): one with a wildcard stands for many',
  'too-many-retained': 'the retained messages that were asked for before are not all sent yet: try again in a while',
  'retained-quota':
    'as many retained messages, or bytes of them, as are allowed (limits.retainedMessagesPerUser, retainedBytesPerUser): delete some by publishing nothing to their topics',
  'queue-full':
    'the client takes its messages slower than they come: its queue is full (limits.queuedMessages, queuedBytes)',
  'user-quota':
    'the queues of all clients of this login hold as much as they may (limits.queuedBytesPerUser, memoryPerUser)',
  'too-large': 'the client said in CONNECT that it does not take packets of that size (Maximum Packet Size)',
  expired: 'its publisher gave the message less time than it had to wait (Message Expiry Interval)',
  invalid:
    'not a topic filter: it is not empty, + and # stand alone in their level, and # in the last one; in $share/NAME/FILTER the name has neither',
  'not-reading': 'the client does not read what it is sent: messages of QoS 0 are not kept for it',
};

export function limitHint(reason: string): string {
  return limits[reason] ?? reason;
}

/** What a user is told whose subscription ended, for the rules are others: `why` they deny it. */
export function rulesChanged(why: string): string {
  return `the subscription ended, for the access rules have changed: ${why}`;
}

/** Why a connection ended, in a sentence for its user. */
const ends: Readonly<Record<string, string>> = {
  disconnect: 'the client said goodbye',
  'disconnect-with-will': 'the client said goodbye, and wanted its Will published',
  'peer-closed': 'the client, or the network between, closed the connection without a word',
  'socket-error': 'the network broke the connection',
  'protocol-error': 'the client sent what MQTT does not allow',
  'internal-error': 'a defect of the broker; its log describes it',
  refused: 'its CONNECT was refused',
  'connect-timeout': 'no CONNECT came in time (limits.connectTimeoutMs)',
  'keepalive-timeout': 'nothing came from the client for one and a half times its keepalive',
  'drain-timeout': 'the client did not read what it was sent (limits.drainTimeoutMs)',
  'taken-over':
    'another connection of the same user took its place with the same client id; two programs that share one end each other again and again: give each its own',
  revoked: 'the account was removed, disabled or given a new password',
  'logged-out': 'whoever was logged in on the page that had opened it has logged out, or was for as long as one may be',
  kicked: 'an operator ended it',
  'ended-on-page': 'its user ended it, on the page',
  banned: 'an operator keeps the login, or the address, out for a while',
  forgotten: 'an operator had everything of the login forgotten',
  'memory-limit': 'memory was short, and this user held most of it',
  'store-fault': 'what had to be stored could not be, and was not acknowledged: the client sends it again',
  'broker-stopping': 'the broker was stopped',
};

export function endInWords(reason: string, detail: string | null): string {
  const words = ends[reason] ?? reason;
  return detail === null ? words : `${words}: ${detail}`;
}

/** The same, for the user's own page. */
export function ownEndInWords(reason: string, detail: string | null): string {
  return reason === 'ended-on-page' ? 'you ended it, on your page' : endInWords(reason, detail);
}

/** Why a CONNECT was refused, in a sentence for operators; users are told of their own limits alone. */
const refusals: Readonly<Record<string, string>> = {
  'unsupported-protocol': 'a version of the protocol that is not spoken here',
  'client-id-rejected': 'the client id is missing or too long',
  'wrong-password': 'the password is wrong',
  'unknown-user': 'there is no such user',
  'no-login': 'no user name was given',
  'no-password': 'no password was given',
  'invalid-login': 'it cannot be a login (credentials.loginPattern)',
  'invalid-password': 'the password is empty, or not text',
  disabled: 'the account is disabled',
  ambiguous: 'two entries of the directory claim the login',
  throttled: 'too many wrong passwords from this address: one guess a second is tried',
  'used-ticket': 'a page wanted to connect with what is good once, and for half a minute: nobody guessed a password',
  'backend-unavailable': 'the credential backend does not answer',
  'other-shard': 'another shard serves this login',
  'too-many-logins': 'too many want to log in at once',
  'store-fault': 'the store cannot be written, and the client wants something kept',
  'memory-limit': 'the user holds as much as is allowed (limits.memoryPerUser), or all together do',
  banned: 'an operator keeps the login, or the address, out for a while',
  'being-removed':
    'an operator has the login forgotten, or removed: nobody is let in with it meanwhile, and for five seconds after user remove',
  'too-many-connections': 'the user has as many connections as are allowed (limits.connectionsPerUser)',
  'connections-wait':
    'the user has as many connections as are allowed (limits.connectionsPerUser), and most of them wait to have a message handled: more come than the rate allows (limits.messagesInPerSecond, bytesInPerSecond)',
  'older-connection-waits':
    'an older connection with this client id has sent more than the rate allows (limits.messagesInPerSecond, bytesInPerSecond), and that is handled before it makes way: try again in a while',
  'too-many-sessions': 'the user has as many sessions as are allowed (limits.sessionsPerUser)',
};

export function refusalInWords(reason: string, detail: string | null = null): string {
  const words = refusals[reason] ?? ends[reason] ?? reason;
  return detail === null ? words : `${words}; ${detail}`;
}

/** Why a client of a connection that ends was no client any more. */
export const endReasons: readonly string[] = Object.keys(ends).filter(
  (reason) => !/refused|connect-timeout/.test(reason),
);
/** Why a connection ended without being let in. */
export const refusalReasons: readonly string[] = [
  ...Object.keys(refusals),
  ...['connect-timeout', 'protocol-error', 'peer-closed', 'socket-error', 'connections', 'connectionsPerAddress'],
];
/** Why a receiver did not get a message. */
export const dropReasons: readonly string[] = ['queue-full', 'user-quota', 'not-reading', 'too-large', 'expired'];
