/**
 * Changes to what a session keeps, and for how long. As in all lists here: `file` and the exact text to `find` in it,
 * once; what to `replace` it by; and the `tests` that should notice, the likeliest first.
 */
const restart = ['test/session/restart.test.ts'];
const expiry = ['test/session/expiry.test.ts'];
const shareGroup = ['test/session/share-group.test.ts'];
const retained = ['test/session/retained-replaced.test.ts'];

export const mutants = [
  {
    name: 'a QoS 2 packet id stays stored after PUBREL',
    file: 'src/session/incoming.ts',
    find: 'if (session.deleteIncoming(packetId)) session.writer?.deleteIncoming(packetId);',
    replace: 'session.deleteIncoming(packetId);',
    tests: restart,
  },
  {
    name: 'a QoS 2 packet id is not stored',
    file: 'src/session/incoming.ts',
    find: 'this.session.writer!.putIncoming(packetId);',
    replace: '',
    tests: restart,
  },
  {
    name: 'the place in the queue starts anew after a restart',
    file: 'src/session/outgoing.ts',
    find: 'this.lastSeq = Math.max(this.lastSeq, record.seq);',
    replace: '',
    tests: restart,
  },
  {
    name: 'packet ids start anew after a restart',
    file: 'src/session/outgoing.ts',
    find: 'this.ids.continueAfter(record.packetId);',
    replace: '',
    tests: restart,
  },
  {
    name: 'an unsubscribe is not stored',
    file: 'src/session/subscribe.ts',
    find: 'if (removed.length > 0) session.writer?.unsubscribe(removed);',
    replace: '',
    tests: restart,
  },
  {
    name: 'a discarded Will stays stored',
    file: 'src/session/will.ts',
    find: `  discard(): void {
    this.services.store.deleteWill(this.session.id);`,
    replace: '  discard(): void {',
    tests: restart,
  },
  {
    name: 'a published Will stays stored',
    file: 'src/session/will.ts',
    find: `login: this.session.login, topic, payload, qos, retain });
    this.services.store.deleteWill(this.session.id);`,
    replace: 'login: this.session.login, topic, payload, qos, retain });',
    tests: restart,
  },
  {
    name: 'sessions expire by their creation',
    file: 'src/session/sessions.ts',
    find: 'session.lastSeenAt > oldest',
    replace: 'session.createdAt > oldest',
    tests: expiry,
  },
  {
    name: 'sessions with a connection expire',
    file: 'src/session/sessions.ts',
    find: 'if (session.connection !== null || session.lastSeenAt > oldest) continue;',
    replace: 'if (session.lastSeenAt > oldest) continue;',
    tests: expiry,
  },
  {
    name: 'when a client left is not noted',
    file: 'src/session/sessions.ts',
    find: 'session.lastSeenAt = this.options.clock.epochMs();',
    replace: '',
    tests: expiry,
  },
  {
    name: 'when a client left is not stored',
    file: 'src/session/sessions.ts',
    find: `    session.outgoing.detach();
    this.save(session);`,
    replace: '    session.outgoing.detach();',
    tests: expiry,
  },
  {
    name: 'a restart takes the creation of a session for its last visit',
    file: 'src/session/sessions.ts',
    find: 'record.protocol, record.createdAt, record.lastSeenAt);',
    replace: 'record.protocol, record.createdAt, record.createdAt);',
    tests: expiry,
  },
  {
    name: 'a shared subscription waits for a member with a half full queue',
    file: 'src/session/outgoing.ts',
    find: '!this.pace.tooSlow && this.queue.length < this.context.limits.queuedMessages / 2;',
    replace: '!this.pace.tooSlow;',
    tests: shareGroup,
  },
  {
    name: 'a shared subscription waits for a member that was too slow',
    file: 'src/session/outgoing.ts',
    find: 'this.outbox !== null && !this.pace.tooSlow &&',
    replace: 'this.outbox !== null &&',
    tests: shareGroup,
  },
  {
    name: 'a shared subscription waits for a member that is away',
    file: 'src/session/outgoing.ts',
    find: 'return this.outbox !== null && !this.pace.tooSlow',
    replace: 'return !this.pace.tooSlow',
    tests: shareGroup,
  },
  {
    name: 'a member that is away comes before one that is stuck',
    file: 'src/routing/share-group.ts',
    find: 'return connected ?? keeping;',
    replace: 'return keeping ?? connected;',
    tests: shareGroup,
  },
  {
    name: 'a member that was too slow never catches up',
    file: 'src/session/reader-pace.ts',
    find: `  caughtUp(): void {
    this.tooSlow = false;`,
    replace: '  caughtUp(): void {',
    tests: shareGroup,
  },
  {
    name: 'a retained message is sent in a version that was replaced',
    file: 'src/session/retained-batch.ts',
    find: 'if (retained.get(message.topic) === message) return',
    replace: 'if (retained.size >= 0) return',
    tests: retained,
  },
  {
    name: 'a retained message that was replaced comes in its new version, and once more',
    file: 'src/session/retained-batch.ts',
    find: 'if (retained.get(message.topic) === message) return { message, qos:',
    replace: 'const latest = retained.get(message.topic);\n      if (latest) return { message: latest, qos:',
    tests: retained,
  },
];
