/** Changes to when a connection answers, what it takes for a mistake, and when it ends. The fields are told in session.mjs. */
const durable = ['test/session/durable-answers.test.ts'];
const takeover = ['test/session/takeover.test.ts'];
const wrongKind = ['test/conformance/acknowledgements.test.ts'];
const clockStep = ['test/session/clock-step.test.ts'];

export const mutants = [
  {
    name: 'PUBACK of a denied publish overtakes',
    file: 'src/connection/publish-flow.ts',
    find: 'if (qos !== 0) this.#answerAfterStore(qos === 1 ? PUBACK : PUBREC, packetId);',
    replace: `if (qos !== 0) this.#wire.acknowledge(this.#connection.outbox, qos === 1 ? PUBACK : PUBREC, packetId);`,
    tests: durable,
  },
  {
    name: 'PUBACK of a publish that needs no disk overtakes',
    file: 'src/connection/publish-flow.ts',
    find: 'if (ticket === null && this.#answers.length === 0) {',
    replace: 'if (ticket === null) {',
    tests: durable,
  },
  {
    name: 'a denied publish is answered only when nothing waits',
    file: 'src/connection/publish-flow.ts',
    find: 'if (this.#answers.length === 0 && (!needsStore || store.idle)) {',
    replace: 'if (!needsStore || store.idle) {',
    tests: durable,
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
    file: 'src/connection/stranger.ts',
    find: 'if (session.writer === null && will === null) {',
    replace: 'if (session !== null) {',
    tests: durable,
  },
  {
    name: 'CONNACK with a Will does not wait for the disk',
    file: 'src/connection/stranger.ts',
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
    find: 'whenStored(context, client, () => connection.outbox.packet(client.wire.unsuback(packetId)));',
    replace: 'connection.outbox.packet(client.wire.unsuback(packetId));',
    tests: durable,
  },
  {
    name: 'what came behind CONNECT is answered before CONNACK',
    file: 'src/connection/connection.ts',
    find: 'if (this.#answered) this.reader.handleAll(() => this.close(reason));',
    replace: 'if (this.#client !== null) this.reader.handleAll(() => this.close(reason));',
    tests: ['test/session/connack-first.test.ts'],
  },
  {
    name: 'a takeover throws away what the older connection had sent',
    file: 'src/connection/connection.ts',
    find: 'if (this.#answered) this.reader.handleAll(() => this.close(reason));',
    replace: 'if (this.closed) this.reader.handleAll(() => this.close(reason));',
    tests: takeover,
  },
  {
    name: 'a takeover goes on reading',
    file: 'src/connection/frame-reader.ts',
    find: 'if (this.#source.closed || this.#onHandled !== null) return;',
    replace: 'if (this.#source.closed) return;',
    tests: takeover,
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
    find: 'outlet()?.pubrel(packetId);\n      return',
    replace: 'return',
    tests: wrongKind,
  },
  {
    name: 'packet id 0 is taken in acknowledgements and requests',
    file: 'src/connection/wire3.ts',
    find: "if (packetId === 0) throw new ProtocolError('MQTT-2.3.1-1', 'packet id 0');",
    replace: '',
    tests: ['test/conformance/packet-id-zero.test.ts'],
  },
  {
    name: 'packet id 0 is taken in PUBLISH',
    file: 'src/connection/wire3.ts',
    find: "if (head.packetId === 0) throw new ProtocolError('MQTT-2.3.1-1', 'PUBLISH with packet id 0');",
    replace: '',
    tests: ['test/conformance/bad-input.test.ts', 'test/conformance/publish.test.ts'],
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
