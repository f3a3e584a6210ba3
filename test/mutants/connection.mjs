/** Changes to when a connection answers, what it takes for a mistake, and when it ends. The fields are told in session.mjs. */
const durable = ['test/session/durable-answers.test.ts'];
const flow = ['test/connection/publish-flow.test.ts', ...durable];
const takeover = ['test/session/takeover.test.ts'];
const takeoverWaits = ['test/session/takeover-waits.test.ts'];
const wrongKind = ['test/conformance/acknowledgements.test.ts'];
const reader = ['test/connection/frame-reader.test.ts'];
const gone = ['test/connection/nothing-stays.test.ts'];
const clockStep = ['test/session/clock-step.test.ts'];

export const mutants = [
  {
    name: 'connections that are closed stay as objects',
    file: 'src/connection/connection.ts',
    find: 'for (const done of this.#onClosed.splice(0)) done();',
    replace: `for (const done of this.#onClosed.splice(0)) done();
    (this.#context.connections as unknown as { gone?: object[] }).gone ??= [];
    (this.#context.connections as unknown as { gone: object[] }).gone.push(this);`,
    tests: gone,
  },
  {
    name: 'sessions that end with their connections stay as objects',
    file: 'src/connection/connection.ts',
    find: 'this.#peer?.gone(reason);',
    replace: `this.#peer?.gone(reason);
    (this.#context.connections as unknown as { gone?: unknown[] }).gone ??= [];
    (this.#context.connections as unknown as { gone: unknown[] }).gone.push(this.#client?.session);`,
    tests: gone,
  },
  {
    name: 'PUBACK of a denied publish overtakes',
    file: 'src/connection/publish-flow.ts',
    find: 'this.#answers.afterStore(qos === 1 ? PUBACK : PUBREC, packetId, code, text);',
    replace: 'this.#wire.acknowledge(this.#connection.outbox, qos === 1 ? PUBACK : PUBREC, packetId, code, text);',
    tests: flow,
  },
  {
    name: 'PUBACK of a publish that needs no disk overtakes',
    file: 'src/connection/answer-queue.ts',
    find: 'if (ticket === null && this.#waiting.length === 0) {',
    replace: 'if (ticket === null) {',
    tests: durable,
  },
  {
    name: 'a denied publish is answered only when nothing waits',
    file: 'src/connection/answer-queue.ts',
    find: 'if (this.#waiting.length === 0 && (!needsStore || store.idle)) {',
    replace: 'if (!needsStore || store.idle) {',
    tests: durable,
  },
  {
    name: 'a message of QoS 2 that comes again is delivered again',
    file: 'src/connection/publish-flow.ts',
    find: 'if (session.hasReceived(packetId)) {',
    replace: 'if (packetId === 0) {',
    tests: flow,
  },
  {
    name: 'the access rules are asked for every message',
    file: 'src/connection/publish-topics.ts',
    find: 'if (end - start <= KNOWN_TOPIC_BYTES) this.#session.account.topics.add(known);',
    replace: '',
    tests: flow,
  },
  {
    name: 'a denied message is delivered',
    file: 'src/connection/publish-flow.ts',
    find: 'if (refusal !== null) return this.#refuse(refusal, qos, packetId);',
    replace: 'if (refusal !== null && known.allowed) return this.#refuse(refusal, qos, packetId);',
    tests: flow,
  },
  {
    name: 'a disk that is slower than its publishers is not waited for',
    file: 'src/connection/publish-flow.ts',
    find: 'reader.waitFor(this.#answersValve);',
    replace: '',
    tests: flow,
  },
  {
    name: 'a message is taken on that the disk cannot keep',
    file: 'src/connection/publish-flow.ts',
    find: 'if (store.fault !== null && (',
    replace: 'if (store.fault !== null && qos > 2 && (',
    tests: flow,
  },
  {
    name: 'a message that the disk cannot keep is known when it comes again',
    file: 'src/connection/publish-flow.ts',
    find: 'if (safeFirst) session.deleteReceived(packetId);',
    replace: '',
    tests: flow,
  },
  {
    name: 'a message that waits for the disk is not tried again after a fault',
    file: 'src/session/distribution.ts',
    find: 'this.#unsafe.push(ticket);',
    replace: '',
    tests: durable,
  },
  {
    name: 'CONNACK does not wait for the disk',
    file: 'src/connection/newcomer.ts',
    find: 'if (session.writer === null && will === null) {',
    replace: 'if (session !== null) {',
    tests: durable,
  },
  {
    name: 'CONNACK with a Will does not wait for the disk',
    file: 'src/connection/newcomer.ts',
    find: 'if (session.writer === null && will === null) {',
    replace: 'if (session.writer === null) {',
    tests: durable,
  },
  {
    name: 'SUBACK does not wait for the disk',
    file: 'src/connection/subscribe.ts',
    find: 'whenStored(context, client, send, () => {',
    replace: '((_: unknown, __: unknown, done: () => void, ___: () => void) => done())(context, client, send, () => {',
    tests: durable,
  },
  {
    name: 'UNSUBACK does not wait for the disk',
    file: 'src/connection/subscribe.ts',
    find: 'whenStored(context, client, () => void connection.answer(client.wire.unsuback(packetId, answers)));',
    replace: 'connection.answer(client.wire.unsuback(packetId, answers));',
    tests: durable,
  },
  {
    name: 'what came behind CONNECT is answered before CONNACK',
    file: 'src/connection/connection.ts',
    find: 'if (this.#answered) this.reader.handleAll(',
    replace: 'if (this.#client !== null) this.reader.handleAll(',
    tests: ['test/session/connack-first.test.ts'],
  },
  {
    name: 'a takeover throws away what the older connection had sent',
    file: 'src/connection/connection.ts',
    find: 'if (this.#answered) this.reader.handleAll(',
    replace: 'if (this.closed) this.reader.handleAll(',
    tests: takeover,
  },
  {
    name: 'a newer one waits beside the one that waits already',
    file: 'src/aedes/hub.ts',
    find: 'if (isMadeWay) former?.registered.takenOver(() => {});',
    replace: 'if (isMadeWay) this.#makingWay.set(id, next);',
    tests: takeoverWaits,
  },
  {
    name: 'one that waits is waited for when its peer has gone',
    file: 'src/connection/connection.ts',
    find: 'if (this.#waiting !== null && !this.reader.waiting) this.close(this.#endReason);',
    replace: '',
    tests: takeoverWaits,
  },
  {
    name: 'one that waits for another waits for ever',
    file: 'src/connection/connection.ts',
    find: 'this.#waiting.peer.tooLate();',
    replace: '',
    tests: takeoverWaits,
  },
  {
    name: 'who waited is let in without another look at the bans',
    file: 'src/connection/newcomer.ts',
    find: "if (bans.keepsOut(login) || bans.of('address', connection.address) !== null) {",
    replace: "if (bans.keepsOut('')) {",
    tests: takeoverWaits,
  },
  {
    name: "who waits is none of its user's connections",
    file: 'src/connection/connections.ts',
    find: '({ peer }) => {',
    replace: '({ client: peer }) => {',
    tests: takeoverWaits,
  },
  {
    name: 'many connections are ended at once',
    file: 'src/connection/connections.ts',
    find: '    connection.close(reason);\n    yield;',
    replace: '    connection.close(reason);',
    tests: ['test/connection/connections.test.ts'],
  },
  {
    name: 'who waits is let in where another one is ended',
    file: 'src/connection/connections.ts',
    find: 'Number(a.client !== null) - Number(b.client !== null)',
    replace: 'Number(b.client !== null) - Number(a.client !== null)',
    tests: ['test/connection/connections.test.ts'],
  },
  {
    name: 'a takeover goes on reading',
    file: 'src/connection/frame-reader.ts',
    find: 'if (this.#source.closed || this.#onHandled !== null) return;\n    this.#readRound',
    replace: 'if (this.#source.closed) return;\n    this.#readRound',
    tests: reader,
  },
  {
    name: 'a wrong acknowledgement is ignored',
    file: 'src/connection/client.ts',
    find: "if (met !== 'wrong-kind') return 1;",
    replace: 'if (packetId > 0) return 1;',
    tests: wrongKind,
  },
  {
    name: 'an acknowledgement of an unknown id closes',
    file: 'src/connection/client.ts',
    find: "if (met !== 'wrong-kind') return 1;",
    replace: "if (met === 'done') return 1;",
    tests: wrongKind,
  },
  {
    name: 'PUBACK is good for any QoS',
    file: 'src/session/inflight-window.ts',
    find: "if (entry.qos !== 1) return 'wrong-kind';",
    replace: '',
    tests: wrongKind,
  },
  {
    name: 'PUBREC is good for any QoS',
    file: 'src/session/inflight-window.ts',
    find: "if (entry.qos !== 2) return 'wrong-kind';",
    replace: '',
    tests: wrongKind,
  },
  {
    name: 'PUBCOMP is good before PUBREC',
    file: 'src/session/inflight-window.ts',
    find: "if (entry.qos !== 2 || !entry.released) return 'wrong-kind';",
    replace: "if (entry.qos !== 2) return 'wrong-kind';",
    tests: wrongKind,
  },
  {
    name: 'PUBREC of an unknown id is not answered',
    file: 'src/session/inflight-window.ts',
    find: 'outlet()?.pubrel(packetId, false);\n      return',
    replace: 'return',
    tests: wrongKind,
  },
  {
    name: 'frames go on while the job of one of them is not done',
    file: 'src/connection/frame-reader.ts',
    find: 'while (!this.#ahead.empty && !this.#job.any && ',
    replace: 'while (!this.#ahead.empty && ',
    tests: reader,
  },
  {
    name: 'what is kept in a turn puts the connection in line twice',
    file: 'src/connection/frame-reader.ts',
    find: `    // It counts as being in line until it is done here: what is kept meanwhile must not put it there twice.
`,
    replace: '    this.#lined = false;\n',
    tests: reader,
  },
  {
    name: 'what a connection asked for is forgotten as it ends',
    file: 'src/connection/frame-reader.ts',
    find: 'this.#job.leave(account, this.#scheduler);',
    replace: '',
    tests: reader,
  },
  {
    name: 'a connection that has ended waits for valves',
    file: 'src/connection/frame-reader.ts',
    find: 'this.#obstacles.close();',
    replace: '',
    tests: reader,
  },
  {
    name: 'what waits to be handled stays counted as a connection ends',
    file: 'src/connection/frame-reader.ts',
    find: 'this.#ahead.clear();',
    replace: '',
    tests: reader,
  },
  {
    name: 'a reader that has taken everything is waited for still',
    file: 'src/connection/client.ts',
    find: 'if (!outgoing.empty && !scheduler.mayWork(this.account)) {',
    replace: 'if (outgoing.empty) return;\n    if (!scheduler.mayWork(this.account)) {',
    tests: ['test/session/slow-reader.test.ts'],
  },
  {
    name: 'packet id 0 is taken in acknowledgements and requests',
    file: 'src/connection/fields.ts',
    find: "if (packetId === 0) throw new ProtocolError(tag, 'packet id 0');",
    replace: '',
    tests: ['test/conformance/packet-id-zero.test.ts'],
  },
  {
    name: 'packet id 0 is taken in PUBLISH',
    file: 'src/connection/wire3.ts',
    find: "if (head.packetId === 0) throw new ProtocolError('MQTT-2.3.1-1', 'PUBLISH with packet id 0');",
    replace: '',
    tests: ['test/conformance/packet-id-zero.test.ts'],
  },
  {
    name: 'the wall clock measures how long something takes',
    file: 'src/broker.ts',
    find: 'this.#clock = options.clock ?? systemClock;',
    replace: `const given = options.clock ?? systemClock;
    const epochMs = () => given.epochMs();
    this.#clock = { epochMs, monotonicMs: epochMs, after: given.after.bind(given), every: given.every.bind(given) };`,
    tests: clockStep,
  },
  {
    name: 'answers that settle after a close are counted',
    file: 'src/connection/outbox.ts',
    find: `  acknowledge(head: number, packetId: number): void {
    if (this.closed) return;`,
    replace: '  acknowledge(head: number, packetId: number): void {',
    tests: ['test/connection/outbox.test.ts', 'test/connection/memory.test.ts'],
  },
];
