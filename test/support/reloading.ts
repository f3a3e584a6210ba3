import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { AclRuleConfig, Config } from '../../src/config/config.js';
import type { DeepPartial } from '../../src/config/defaults.js';
import { RawClient } from './raw-client.js';
import { startTestBroker, type TestBroker } from './test-broker.js';

export const own: AclRuleConfig = { access: 'readwrite', topic: 'iotlab/%u/#' };
export const news: AclRuleConfig = { access: 'readwrite', topic: 'news/#' };

export async function brokerWith(t: TestContext, config: DeepPartial<Config> = {}) {
  const broker = await startTestBroker({ users: ['alice', 'bob'], config });
  t.after(() => broker.stop());
  return broker;
}

export async function client(
  t: TestContext,
  broker: TestBroker,
  options: Parameters<typeof RawClient.connect>[1] = {},
) {
  const one = await RawClient.connect(broker, options);
  t.after(() => one[Symbol.asyncDispose]());
  return one;
}

/** A test: while so many messages go to each of two users, the rules are read again all the time. */
export function reloadsLoseNothing(count: number): void {
  test(`under load, reloads lose none of ${count} messages of anybody whose rules stay`, async (t) => {
    const broker = await brokerWith(t, { acl: [own, news] });
    const sets: DeepPartial<Config>[] = [
      { acl: [own], limits: { queuedMessages: 900 } },
      { acl: [own, news], limits: { queuedMessages: 1_000 } },
    ];
    let running = true;
    let reloads = 0;
    const reloading = (async () => {
      while (running) await broker.reload(sets[++reloads % 2]!);
    })();
    const pairs = ['alice', 'bob'].map(async (as) => {
      const reader = await client(t, broker, { as, clean: false });
      await reader.subscribe([`iotlab/${as}/#`, 2], ['news/#', 0]);
      const writer = await client(t, broker, { as });
      const received = (async () => {
        for (let i = 0; i < count; i += 1) {
          let message = await reader.receive();
          while (message.topic.startsWith('news')) message = await reader.receive();
          assert.equal(message.payload, String(i));
        }
      })();
      for (let i = 0; i < count; i += 1) await writer.publish(`iotlab/${as}/${i % 5}`, String(i), { qos: (i % 2) + 1 });
      await received;
    });
    await Promise.all(pairs);
    running = false;
    await reloading;
    assert.ok(reloads > count / 30, `${reloads} reloads`);
    t.diagnostic(`${reloads} reloads`);
  });
}
