// aedes-persistence's own suite, over both kinds of store, and over the bare library to know that the suite can pass there.
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';
import type AsyncLevelPersistence from 'aedes-persistence-level/asyncPersistence.js';
import type { OpenedStore } from '../../src/store/store.js';
import { diskStore, memoryStore, type StoreUnderTest } from '../support/open-store.js';

const abstractSuite = createRequire(import.meta.url)('aedes-persistence/abstract.js') as (options: {
  test: typeof test;
  testAsync: boolean;
  persistence: () => Promise<AsyncLevelPersistence>;
}) => void;

for (const make of [diskStore, memoryStore]) {
  describe(`aedes-persistence's suite: ${make.name}`, () => {
    abstractSuite({
      test,
      testAsync: true,
      persistence: async () => {
        const under: StoreUnderTest = await make();
        const store: OpenedStore = await under.open();
        const destroy = store.persistence.destroy.bind(store.persistence);
        // The suite ends each of its tests with this: the folder goes with the instance.
        store.persistence.destroy = async () => {
          await destroy();
          await under.cleanUp();
        };
        return store.persistence;
      },
    });
  });
}
