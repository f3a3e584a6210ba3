/** Changes to what is kept, and when it counts as kept. The fields are told in session.mjs. */
const groups = ['test/store/group-commit.test.ts'];
const powerLoss = ['test/store/power-loss.test.ts'];
const suite = ['test/store/store.test.ts'];

export const mutants = [
  {
    name: 'a batch that failed is forgotten',
    file: 'src/store/group-commit.ts',
    find: 'for (const [key, { value }] of group.operations) next.operations.set(key, { value, fresh: false });',
    replace: '',
    tests: groups,
  },
  {
    name: 'what gathered during a failed batch replaces nothing of it',
    file: 'src/store/group-commit.ts',
    find: 'next.operations.set(key, next.operations.has(key) ? { value: operation.value, fresh: false } : operation);',
    replace: 'if (!next.operations.has(key)) next.operations.set(key, operation);',
    tests: groups,
  },
  {
    name: 'whoever waits for a batch that failed is told that it was written',
    file: 'src/store/group-commit.ts',
    find: 'this.#call(waiting, this.#fault);',
    replace: 'this.#call(waiting, null);',
    tests: groups,
  },
  {
    name: 'what waits to be stored is forgotten after a fault',
    file: 'src/store/group-commit.ts',
    find: 'for (const callback of this.#afterRecovery.splice(0)) this.whenStored(callback);',
    replace: '',
    tests: groups,
  },
  {
    name: 'a fresh row that is deleted before it was written takes its delete along',
    file: 'src/store/group-commit.ts',
    find: '} else if (operation.fresh) {',
    replace: '} else if (operation.value === null) {',
    tests: groups,
  },
  {
    name: 'batches are not synced',
    file: 'src/store/group-commit.ts',
    find: 'await batch.write({ sync: this.#durable });',
    replace: 'await batch.write({ sync: false });',
    tests: powerLoss,
  },
  {
    name: 'a group that is on its way counts as written',
    file: 'src/store/group-commit.ts',
    find: 'else if (this.#inFlight !== null) this.#inFlight.callbacks.push(callback);',
    replace: '',
    tests: [...groups, ...powerLoss],
  },
  {
    name: 'a removed session leaves its QoS 2 packet ids',
    file: 'src/store/session-table.ts',
    find: 'for (const packetId of rows.incoming) this.#group.delete(this.#incomingPrefix + padNumber(packetId));',
    replace: '',
    tests: ['test/session/restart.test.ts'],
  },
  {
    name: 'a removed session leaves its queue',
    file: 'src/store/session-table.ts',
    find: 'for (const seq of rows.outgoing) this.#group.delete(this.#outgoingPrefix + padNumber(seq));',
    replace: '',
    tests: ['test/session/restart.test.ts'],
  },
  {
    name: 'a removed session leaves its subscriptions',
    file: 'src/store/session-table.ts',
    find: 'this.unsubscribe([...rows.subscriptions]);',
    replace: '',
    tests: ['test/session/restart.test.ts'],
  },
  {
    name: 'RETAIN of a queued message is not stored',
    file: 'src/store/records.ts',
    find: 'if (record.retain) flags |= RETAIN;',
    replace: '',
    tests: suite,
  },
  {
    name: 'a wildcard in the first level brings retained messages of $ topics',
    file: 'src/store/retained-index.ts',
    find: "if (depth > 0 || !name.startsWith('$')) next.push(child);",
    replace: 'next.push(child);',
    tests: ['test/store/retained-index.test.ts', ...suite],
  },
];
