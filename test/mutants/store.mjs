/** Changes to what is kept, and when it counts as kept. The fields are told in session.mjs. */
const groups = ['test/store/group-commit.test.ts'];
const powerLoss = ['test/store/power-loss.test.ts'];
const damaged = ['test/store/damaged-store.test.ts', 'test/store/open.test.ts'];
const suite = ['test/store/store.test.ts'];
const parts = ['test/store/parted-database.test.ts'];

export const mutants = [
  {
    name: 'the parts of a long value stay when it is replaced',
    file: 'src/store/parted-database.ts',
    find: 'await this.#parted.deleteParts(this.#parted.partsOf(key), this.#batch);',
    replace: '',
    tests: parts,
  },
  {
    name: 'parts that nobody names stay',
    file: 'src/store/parted-database.ts',
    find: 'else abandoned.push(id);',
    replace: '',
    tests: parts,
  },
  {
    name: 'a row is made for what is never written',
    file: 'src/store/group.ts',
    find: 'if (operation === undefined) this.operations.set(key, { value, fresh });',
    replace:
      "if (operation === undefined) this.operations.set(key, { value: typeof value === 'function' ? value() : value, fresh });",
    tests: groups,
  },
  {
    name: 'a test that holds the clock keeps groups from being written',
    file: 'src/store/group-commit.ts',
    find: 'this.#ripen = options.ripen ?? setTimeout;',
    replace: 'this.#ripen = options.ripen ?? ((callback, delayMs) => void options.clock.after(delayMs, callback));',
    tests: groups,
  },
  {
    name: 'what has waited behind a slow write waits for one more',
    file: 'src/store/patience.ts',
    find: 'gatheredMs > MOST_MS || ',
    replace: '',
    tests: groups,
  },
  {
    name: 'what is put after a quiet time counts as having waited',
    file: 'src/store/group-commit.ts',
    find: 'if (!this.#scheduled) this.#gathering.sinceMs = now;',
    replace: '',
    tests: groups,
  },
  {
    name: 'a message that matches more filters with identifiers than a byte counts stops the store for everybody',
    file: 'src/store/outgoing-rows.ts',
    find: 'identifiers.length > 255;',
    replace: 'identifiers.length > 256;',
    tests: ['test/store/store.test.ts'],
  },
  {
    name: 'LevelDB writes what is acknowledged at once',
    file: 'src/store/level-database.ts',
    find: 'readonly ripenMs = RIPEN_MS;',
    replace: 'readonly ripenMs = 0 * RIPEN_MS;',
    tests: ['test/store/level-database.test.ts'],
  },
  {
    name: 'a batch that failed is forgotten',
    file: 'src/store/group-commit.ts',
    find: `this.#gathering = group;
    this.#ripening = null;`,
    replace: `this.#gathering = new Group();
    this.#ripening = null;`,
    tests: groups,
  },
  {
    name: 'what gathered during a failed batch replaces nothing of it',
    file: 'src/store/group.ts',
    find: 'known.value = operation.value;',
    replace: '',
    tests: groups,
  },
  {
    name: 'whoever waits for a batch that failed is told that it was written',
    file: 'src/store/group-commit.ts',
    find: 'tellAll(waiting, this.#fault, this.#log);',
    replace: 'tellAll(waiting, null, this.#log);',
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
    file: 'src/store/group.ts',
    find: 'else if (operation.fresh) return this.operations.delete(key);',
    replace: 'else if (operation.value === null) return this.operations.delete(key);',
    tests: groups,
  },
  {
    name: 'batches are not synced',
    file: 'src/store/group.ts',
    find: 'await batch.write({ sync });',
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
    name: 'a removed session leaves its rows',
    file: 'src/store/session-writer.ts',
    find: 'sweeper.add(rows.number);',
    replace: '',
    tests: ['test/store/restart.test.ts'],
  },
  {
    name: 'a removed session is found again',
    file: 'src/store/session-writer.ts',
    find: 'group.delete(rows.key);',
    replace: '',
    tests: ['test/store/restart.test.ts'],
  },
  {
    name: 'a long message is gone when the first of its queues lets go of it',
    file: 'src/store/shared-contents.ts',
    find: 'if (left > 0) {',
    replace: 'if (left > 1_000) {',
    tests: suite,
  },
  {
    name: 'a long message stays when no queue has it any more',
    file: 'src/store/shared-contents.ts',
    find: 'this.#group.delete(contentKey(contentId));\n  }\n\n  /** Nobody',
    replace: '}\n\n  /** Nobody',
    tests: ['test/store/restart.test.ts'],
  },
  {
    name: 'a migration that was cut off goes on with what it had written',
    file: 'src/store/schema.ts',
    find: 'await clear(db, [SESSIONS, CONTENTS, RETAINED]);',
    replace: '',
    tests: ['test/store/migration.test.ts'],
  },
  {
    name: 'RETAIN of a queued message is not stored',
    file: 'src/store/outgoing-rows.ts',
    find: 'if (record.retain) flags |= RETAIN;',
    replace: '',
    tests: suite,
  },
  {
    name: 'a wildcard in the first level brings retained messages of $ topics',
    file: 'src/store/retained-messages.ts',
    find: "depth > 0 || !name.startsWith('$')",
    replace: 'true',
    tests: ['test/store/retained-messages.test.ts', ...suite],
  },
  {
    name: 'branches of retained messages that are gone stay',
    file: 'src/store/retained-messages.ts',
    find: 'this.#remove(topic);',
    replace: '',
    tests: ['test/store/retained-messages.test.ts'],
  },
  {
    name: 'a store that is opened anew after a fault may be an empty one',
    file: 'src/store/group-commit.ts',
    find: "this.#db = await this.#open('existing');",
    replace: "this.#db = await this.#open('create');",
    tests: groups,
  },
  {
    name: 'a folder with tables and without CURRENT is taken for a new store',
    file: 'src/store/open-database.ts',
    find: `await ensureFolder(path);
    await refuseHeadless(path);`,
    replace: 'await ensureFolder(path);',
    tests: damaged,
  },
  {
    name: 'copies that were left behind stay',
    file: 'src/store/open-database.ts',
    find: 'await removeAbandonedCopies(path);',
    replace: '',
    tests: ['test/store/reading-copy.test.ts'],
  },
  {
    name: 'numbers of five digits sort as text in keys',
    file: 'src/store/keys.ts',
    find: 'return LENGTHS[digits.length - 1] + digits;',
    replace: "return LENGTHS[3] + digits.padStart(4, '0');",
    tests: ['test/store/keys.test.ts'],
  },
];
