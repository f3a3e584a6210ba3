/** Changes to when a connection answers, and whose turn it is. The fields are told in session.mjs. */
const durable = ['test/session/durable-answers.test.ts'];
const takeover = ['test/session/takeover.test.ts'];
const debt = ['test/session/debt.test.ts'];

export const mutants = [
  {
    name: 'PUBACK of a denied publish overtakes',
    file: 'src/session/incoming.ts',
    find: 'if (qos !== 0) this.answerAfterStore(qos === 1 ? PUBACK_HEAD : PUBREC_HEAD, packetId);',
    replace: 'if (qos !== 0) this.connection.outbox.acknowledge(qos === 1 ? PUBACK_HEAD : PUBREC_HEAD, packetId);',
    tests: durable,
  },
  {
    name: 'PUBACK of a publish that needs no disk overtakes',
    file: 'src/session/incoming.ts',
    find: 'if (ticket === null && this.answers.length === 0) {',
    replace: 'if (ticket === null) {',
    tests: durable,
  },
  {
    name: 'a denied publish is answered only when nothing waits',
    file: 'src/session/incoming.ts',
    find: 'if (this.answers.length === 0 && (this.session.writer === null',
    replace: 'if ((this.session.writer === null',
    tests: durable,
  },
  {
    name: 'the number of receivers costs the publisher nothing',
    file: 'src/session/incoming.ts',
    find: 'return cost + publication.deliveries;',
    replace: 'return cost;',
    tests: debt,
  },
  {
    name: 'what one packet cost beyond the share is forgiven',
    file: 'src/session/turn.ts',
    find: 'return owed <= 0 ? 0 : Math.max(0, owed - (this.id - account.turnId - 1) * this.unitsPerUser);',
    replace: 'return 0;',
    tests: debt,
  },
  {
    name: 'a message that waits for the disk is not tried again after a fault',
    file: 'src/hub/hub.ts',
    find: 'this.waitingForStore.push(ticket);',
    replace: '',
    tests: durable,
  },
  {
    name: 'CONNACK does not wait for the disk',
    file: 'src/session/connect.ts',
    find: 'if (session.writer === null && connection.will === null) {',
    replace: 'if (session !== null) {',
    tests: durable,
  },
  {
    name: 'CONNACK with a Will does not wait for the disk',
    file: 'src/session/connect.ts',
    find: 'if (session.writer === null && connection.will === null) {',
    replace: 'if (session.writer === null) {',
    tests: durable,
  },
  {
    name: 'SUBACK does not wait for the disk',
    file: 'src/session/subscribe.ts',
    find: 'whenStored(connection, send, () => {',
    replace: '((_: unknown, done: () => void, __: () => void) => done())(connection, send, () => {',
    tests: durable,
  },
  {
    name: 'UNSUBACK does not wait for the disk',
    file: 'src/session/subscribe.ts',
    find: 'whenStored(connection, () => connection.outbox.packet(unsuback(packetId)));',
    replace: 'connection.outbox.packet(unsuback(packetId));',
    tests: durable,
  },
  {
    name: 'a takeover throws away what the older connection had sent',
    file: 'src/session/connection.ts',
    find: 'if (this.state === State.Connected) this.reader.drain();',
    replace: '',
    tests: takeover,
  },
];
