/** Changes to what a user may have, and gives back. The fields are told in session.mjs. */
const quotas = ['test/session/quotas.test.ts'];
const takeover = ['test/session/takeover.test.ts'];
const takeoverWaits = ['test/session/takeover-waits.test.ts'];

export const mutants = [
  {
    name: 'an ended session keeps its subscriptions counted',
    file: 'src/session/sessions.ts',
    find: 'perform(this.#unsubscribeAll(session), account, this.#options.scheduler);',
    replace: 'for (const filter of session.subscriptions.keys()) this.#options.router.unsubscribe(session, filter);',
    tests: quotas,
  },
  {
    name: 'UNSUBSCRIBE does not give the subscription back',
    file: 'src/session/sessions.ts',
    find: 'session.account.subscriptions--;',
    replace: '',
    tests: quotas,
  },
  {
    name: 'UNSUBSCRIBE does not give the bytes of the subscription back',
    file: 'src/session/sessions.ts',
    find: 'session.account.balances.subscriptions.add(-subscriptionBytes(filter));',
    replace: '',
    tests: ['test/connection/memory.test.ts'],
  },
  {
    name: 'a subscription that replaces another one counts again',
    file: 'src/session/sessions.ts',
    find: 'if (!session.subscriptions.has(filter)) {',
    replace: 'if (filter.length > 0) {',
    tests: quotas,
  },
  {
    name: 'an ended session keeps its place',
    file: 'src/session/sessions.ts',
    find: 'account.persistentSessions--;',
    replace: '',
    tests: quotas,
  },
  {
    name: 'restored sessions are not counted',
    file: 'src/session/sessions.ts',
    find: `account.persistentSessions++;
    this.#deadlines`,
    replace: 'this.#deadlines',
    tests: quotas,
  },
  {
    name: 'sessions of a user have no limit',
    file: 'src/session/sessions.ts',
    find: 'account.persistentSessions >= account.limits.sessionsPerUser || ',
    replace: '',
    tests: quotas,
  },
  {
    name: 'QoS 0 messages that are dropped as a connection goes stay counted',
    file: 'src/session/backlog.ts',
    find: `} else if (item.qos === 0) {
        this.#quota.remove(item);`,
    replace: '} else if (item.qos === 0) {',
    tests: quotas,
  },
  {
    name: 'the queue of an ended session stays counted',
    file: 'src/session/outgoing-queue.ts',
    find: 'this.#waiting.clear();',
    replace: '',
    tests: quotas,
  },
  {
    name: 'the window of an ended session stays counted',
    file: 'src/session/outgoing-queue.ts',
    find: 'this.#inflight.clear();',
    replace: '',
    tests: quotas,
  },
  {
    name: 'restored queues are not counted',
    file: 'src/session/backlog.ts',
    find: `    this.#count(entry);
    this.#queue.push(entry);`,
    replace: '    this.#queue.push(entry);',
    tests: quotas,
  },
  {
    name: 'a large message is refused by an empty queue',
    file: 'src/session/queue-quota.ts',
    find: '(queued > 0 && this.bytes + bytes > queuedBytes)',
    replace: 'this.bytes + bytes > queuedBytes',
    tests: quotas,
  },
  {
    name: 'a message larger than half the queue is refused',
    file: 'src/session/queue-quota.ts',
    find: '(queued > 0 && this.bytes + bytes > queuedBytes)',
    replace: 'this.bytes + bytes > queuedBytes / 2',
    tests: quotas,
  },
  {
    name: 'a retained message that is replaced stays counted',
    file: 'src/session/distribution.ts',
    find: 'if (before !== undefined) quota.removed(before);',
    replace: '',
    tests: quotas,
  },
  {
    name: 'a retained message that is deleted stays counted',
    file: 'src/session/distribution.ts',
    find: `if (before === undefined) return false;
    quota.removed(before);`,
    replace: 'if (before === undefined) return false;',
    tests: quotas,
  },
  {
    name: 'retained messages of before a restart are not counted',
    file: 'src/session/distribution.ts',
    find: 'quota.added(message);',
    replace: '',
    tests: quotas,
  },
  {
    name: 'a user at the limit may not take over a connection',
    file: 'src/connection/newcomer.ts',
    find: 'const leaving = (takesOver ? 1 : 0) + ',
    replace: 'const leaving = ',
    tests: takeover,
  },
  {
    name: 'connections of a user have no limit',
    file: 'src/connection/newcomer.ts',
    find: 'if (account.connections.size - leaving >= account.limits.connectionsPerUser) {',
    replace: 'if (account.connections.size < 0) {',
    tests: takeover,
  },
  {
    name: 'a take-over that waits is not counted',
    file: 'src/connection/newcomer.ts',
    find: 'if (account.connections.size - leaving >= account.limits.connectionsPerUser) {',
    replace: 'if (!takesOver && account.connections.size >= account.limits.connectionsPerUser) {',
    tests: takeoverWaits,
  },
  {
    name: 'retained messages count for the tree that they are in, whoever published them',
    file: 'src/mqtt/retained-owner.ts',
    find: "return owner ?? topic.split('/', 2)[1] ?? '';",
    replace: "return topic.split('/', 2)[1] ?? owner ?? '';",
    tests: [...quotas, 'test/session/retained-quota.test.ts'],
  },
];
