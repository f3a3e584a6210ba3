import type { TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { Config } from '../../src/config/config.js';
import type { DeepPartial } from '../../src/config/defaults.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { RawClient, type RawConnectOptions } from './raw-client.js';
import { startTestBroker, type TestBroker, type TestBrokerOptions } from './test-broker.js';

/** A broker for whom time stands still unless the test lets it pass. */
export interface World extends TestBroker {
  readonly clock: ManualClock;
  client(options?: RawConnectOptions): Promise<RawClient>;
  /** Lets time pass until it is so, and returns how much that was. */
  passUntil(holds: () => boolean, mostMs: number): Promise<number>;
}

export async function worldWith(
  t: TestContext,
  config: DeepPartial<Config>,
  options: TestBrokerOptions = {},
): Promise<World> {
  const clock = new ManualClock();
  const broker = await startTestBroker({ users: ['alice', 'bob', 'carol'], ...options, config, seams: { clock } });
  t.after(() => broker.stop());
  return {
    ...broker,
    clock,
    async client(given = {}) {
      const client = await RawClient.connect(broker, { keepaliveSeconds: 0, ...given });
      t.after(() => client[Symbol.asyncDispose]());
      return client;
    },
    async passUntil(holds, mostMs) {
      for (let passed = 0; passed <= mostMs; passed += 10) {
        // What the clock has let go on goes on, through sockets and back.
        for (let i = 0; i < 60; i++) await turn();
        if (holds()) return passed;
        clock.advance(10);
      }
      throw new Error(`not within ${mostMs} ms`);
    },
  };
}

/** Acknowledges in the background, and keeps what came. */
export function collecting(client: RawClient): { readonly payloads: string[] } {
  const payloads: string[] = [];
  const collect = async () => {
    for (;;) payloads.push(String((await client.receive(60_000)).payload));
  };
  collect().catch(() => {});
  return { payloads };
}

export const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i));
