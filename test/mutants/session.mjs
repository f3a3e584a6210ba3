/**
 * Changes to what a session keeps, and for how long. As in all lists here: `file` and the exact text to `find` in it,
 * once; what to `replace` it by, and `also` to change, where a door has two locks; and the `tests` that should notice,
 * the likeliest first.
 */
const restart = ['test/session/restart.test.ts'];
const expiry = ['test/session/expiry.test.ts'];
const shareGroup = ['test/session/share-group.test.ts'];
const queue = ['test/session/outgoing-queue.test.ts'];
const retained = ['test/session/retained-replaced.test.ts'];
const cutOff = ['test/session/expiry-after-crash.test.ts'];
const dup = ['test/session/dup-after-restart.test.ts'];
const delivered = ['test/session/delivered-total.test.ts'];
const retainedRestart = ['test/session/retained-restart.test.ts'];

export const mutants = [
  {
    name: 'what is still to come of retained messages is not stored',
    file: 'src/session/retained-batch.ts',
    find: 'writer.putRequest({ place: this.#place, last, filter, qos, identifier, askedAt });',
    replace: '',
    tests: retainedRestart,
  },
  {
    name: 'how far retained messages have come is not stored',
    file: 'src/session/retained-batch.ts',
    find: 'else writer.moveRequest(this.#place, { next: this.firstSeq, after: this.#after });',
    replace: '',
    tests: retainedRestart,
  },
  {
    name: 'after a restart the retained messages of a subscription come from the first one on',
    file: 'src/session/retained-sender.ts',
    find: 'message.topic > after && ',
    replace: '',
    tests: retainedRestart,
  },
  {
    name: 'a QoS 2 packet id stays stored after PUBREL',
    file: 'src/connection/publish-flow.ts',
    find: 'if (known) session.writer?.deleteIncoming(packetId);',
    replace: '',
    tests: restart,
  },
  {
    name: 'a QoS 2 packet id is not stored',
    file: 'src/connection/publish-flow.ts',
    find: 'session.writer!.putIncoming(packetId);',
    replace: '',
    tests: restart,
  },
  {
    name: 'the place in the queue starts anew after a restart',
    file: 'src/session/outgoing-queue.ts',
    find: 'this.#places.last = Math.max(this.#places.last, item instanceof RetainedBatch ? item.lastSeq : item.seq);',
    replace: '',
    tests: restart,
  },
  {
    name: 'packet ids start anew after a restart',
    file: 'src/session/outgoing-queue.ts',
    find: 'this.#ids.continueAfter(item.packetId);',
    replace: '',
    tests: restart,
  },
  {
    name: 'an unsubscribe is not stored',
    file: 'src/connection/subscribe.ts',
    find: 'if (removed.length > 0 && !session.ended) session.writer?.unsubscribe(removed);',
    replace: '',
    tests: restart,
  },
  {
    name: 'a discarded Will stays stored',
    file: 'src/session/will.ts',
    find: 'this.#forget(client, will, this.#options.account(client.login));',
    replace: 'this.#options.account(client.login).balances.wills.add(-willBytes(will));',
    tests: restart,
  },
  {
    name: 'a published Will stays stored',
    file: 'src/session/will.ts',
    find: `    }
    this.#forget(client, will, account);
  }`,
    replace: `    }
    account.balances.wills.add(-willBytes(will));
  }`,
    tests: restart,
  },
  {
    name: 'sessions expire by their creation',
    file: 'src/session/sessions.ts',
    find: 'this.#deadlines.set(session, session.lastSeenAt + session.expiryMs);',
    replace: 'this.#deadlines.set(session, session.createdAt + session.expiryMs);',
    tests: expiry,
  },
  {
    name: 'sessions with a connection expire',
    file: 'src/session/sessions.ts',
    find: 'this.#deadlines.delete(known);',
    replace: '',
    also: [{ find: 'if (due.holder !== null) continue;', replace: '' }],
    tests: expiry,
  },
  {
    name: 'when a client left is not noted',
    file: 'src/session/sessions.ts',
    find: 'session.lastSeenAt = this.#options.clock.epochMs();',
    replace: '',
    tests: expiry,
  },
  {
    name: 'when a client left is not stored',
    file: 'src/session/sessions.ts',
    find: `session.lastSeenAt + session.expiryMs);
    this.#save(session, false);`,
    replace: 'session.lastSeenAt + session.expiryMs);',
    tests: expiry,
  },
  {
    name: 'a restart takes the creation of a session for its last visit',
    file: 'src/session/sessions.ts',
    find: ': record.lastSeenAt;',
    replace: ': record.createdAt;',
    tests: expiry,
  },
  {
    name: 'a shared subscription waits for a member with a half full queue',
    file: 'src/session/outgoing-queue.ts',
    find: '!this.#pace.tooSlow && this.#waiting.length < this.#context.limits.queuedMessages / 2;',
    replace: '!this.#pace.tooSlow;',
    tests: shareGroup,
  },
  {
    name: 'a shared subscription waits for a member that was too slow',
    file: 'src/session/outgoing-queue.ts',
    find: 'this.connected && !this.#pace.tooSlow &&',
    replace: 'this.connected &&',
    tests: shareGroup,
  },
  {
    name: 'a shared subscription waits for a member that is away',
    file: 'src/session/outgoing-queue.ts',
    find: 'return this.connected && !this.#pace.tooSlow',
    replace: 'return !this.#pace.tooSlow',
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
    find: 'if (retained.get(message.topic) !== message) continue;',
    replace: '',
    tests: retained,
  },
  {
    name: 'a retained message that was replaced comes in its new version, and once more',
    file: 'src/session/retained-batch.ts',
    find: `const message = messages[this.#index]!;
      if (retained.get(message.topic) !== message) continue;`,
    replace: `const message = retained.get(messages[this.#index]!.topic);
      if (message === undefined) continue;`,
    tests: retained,
  },
  {
    name: 'a session whose client was there as the broker was cut off is as old as its record',
    file: 'src/session/sessions.ts',
    find: 'const cutOff = record.expiresAt === null;',
    replace: 'const cutOff = false;',
    tests: cutOff,
  },
  {
    name: 'a session that was cut off begins its absence anew with each start',
    file: 'src/session/sessions.ts',
    find: 'if (cutOff) this.#save(session, false);',
    replace: '',
    tests: cutOff,
  },
  {
    name: 'a record does not tell that its client is there',
    file: 'src/session/sessions.ts',
    find: 'expiresAt: connected ? null : session.lastSeenAt',
    replace: 'expiresAt: session.lastSeenAt',
    tests: cutOff,
  },
  {
    name: 'what was sent before a stop is not known after it',
    file: 'src/session/sessions.ts',
    find: 'sentSeq: connected ? null : session.outgoing.sentSeq,',
    replace: 'sentSeq: null,',
    tests: dup,
  },
  {
    name: 'a crash takes what may have been sent for new',
    file: 'src/store/session-loader.ts',
    find: "if (expiresAt === null || sentSeq === null) return 'unknown';",
    replace: "if (expiresAt === null || sentSeq === null) return 'no';",
    tests: dup,
  },
  {
    name: 'all of a queue carries DUP after a crash',
    file: 'src/session/outgoing-queue.ts',
    find: "(item.sent === 'unknown' && index < inflightMessages)",
    replace: "(item.sent === 'unknown' && index >= 0)",
    tests: dup,
  },
  {
    name: 'a message that is sent again carries no DUP',
    file: 'src/session/sender.ts',
    find: 'retain, entry.sent && qos > 0, identifiers)',
    replace: 'retain, false, identifiers)',
    tests: dup,
  },
  {
    name: 'what is queued after a restart counts as sent',
    file: 'src/session/outgoing-queue.ts',
    find: 'this.#places.last = Math.max(this.#places.last, this.sentSeq);',
    replace: '',
    tests: dup,
  },
  {
    name: 'a message of QoS 0 overtakes those that wait',
    file: 'src/session/outgoing-queue.ts',
    find: 'if (outlet !== null && this.empty && !safeFirst) {',
    replace: 'if (outlet !== null && (this.#waiting.length === 0 || qos === 0) && !safeFirst) {',
    tests: queue,
  },
  {
    name: 'a message of QoS 0 is kept for who is away',
    file: 'src/session/outgoing-queue.ts',
    find: 'if (qos === 0 && outlet === null) return;',
    replace: '',
    tests: queue,
  },
  {
    name: 'publishers of other users wait for a reader',
    file: 'src/session/reader-pace.ts',
    find: 'if (publication.publisher.login !== this.#account.login) return;',
    replace: '',
    tests: queue,
  },
  {
    name: 'publishers wait for a reader that was too slow',
    file: 'src/session/reader-pace.ts',
    find: 'if (this.tooSlow) return;',
    replace: '',
    tests: queue,
  },
  {
    name: 'publishers wait on when their reader has left',
    file: 'src/session/outgoing-queue.ts',
    find: `    this.#waiting.leaveMemory();
    this.#pace.release();`,
    replace: '    this.#waiting.leaveMemory();',
    tests: queue,
  },
  {
    name: 'a publisher is not answered when the receiver has acknowledged',
    file: 'src/session/inflight-window.ts',
    find: `this.#writer.deleteOutgoing(entry.seq, contentId, true);
      entry.ticket?.receiverDone();`,
    replace: 'this.#writer.deleteOutgoing(entry.seq, contentId, true);',
    tests: ['test/session/inflight-window.test.ts', ...queue],
  },
  {
    name: 'what is in flight does not count for its user',
    file: 'src/session/inflight-window.ts',
    find: 'else if (entry.message !== null) this.#context.account.countMessage(entry.message.bytes);',
    replace: '',
    tests: ['test/session/inflight-window.test.ts'],
  },
  {
    name: 'topics are remembered without an end',
    file: 'src/session/known-topics.ts',
    find: 'if (++this.#misses < MISSES) return;',
    replace: 'if (++this.#misses < 0) return;',
    tests: ['test/session/known-topics.test.ts'],
  },
  {
    name: 'routes of remembered topics are not counted',
    file: 'src/session/known-topics.ts',
    find: 'this.#balance.add(bytes - known.routeBytes);',
    replace: '',
    tests: ['test/session/known-topics.test.ts'],
  },
  {
    name: 'what was dropped counts as sent',
    file: 'src/session/outgoing-queue.ts',
    find: 'this.#context.onDropped(reason, publication.topic);',
    replace: `this.#context.onDropped(reason, publication.topic);
    (this.#context.counters as never as { publishesSent: number[] }).publishesSent[publication.qos]!++;`,
    tests: delivered,
  },
  {
    name: 'what comes from a queue does not count as sent',
    file: 'src/connection/client-outlet.ts',
    find: 'if (sent) this.#count(qos, message.payloadBytes, message.bytes);',
    replace: '',
    tests: delivered,
  },
  {
    name: 'a QoS 2 message of a persistent session leaves before its packet id is on disk',
    file: 'src/session/outgoing-queue.ts',
    find: 'const safeFirst = publication.safeFirst || (qos === 2 && this.#writer !== null);',
    replace: 'const safeFirst = qos === 2 && this.#writer !== null;',
    tests: ['test/session/durable-answers.test.ts'],
  },
  {
    name: 'PUBCOMP leaves before its packet id is free on disk',
    file: 'src/connection/answer-queue.ts',
    find: 'session.writer !== null && type !== PUBACK',
    replace: 'session.writer !== null && type === PUBREC',
    tests: ['test/session/durable-answers.test.ts'],
  },
];
