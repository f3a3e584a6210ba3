// What belongs to a connection goes with it, however that ends.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { eventually } from '../support/deadline.js';
import { garbageCollector } from '../support/garbage-collector.js';
import * as mqtt from '../support/packets.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

const collect = garbageCollector();

describe('of a connection that is gone', () => {
  const broker = useTestBroker();

  /** What belongs to the connections that there are, without keeping it. */
  function belongings(): [string, WeakRef<object>][] {
    return [...broker.parts().connections].flatMap((connection) => {
      const { client, socket, reader, outbox } = connection;
      const all = { connection, socket, reader, outbox, client, session: client?.session ?? null };
      return Object.entries(all).flatMap(([name, part]): [string, WeakRef<object>][] => {
        return part === null ? [] : [[name, new WeakRef(part)]];
      });
    });
  }

  /** Each tells what there is while it is connected, and ends. */
  const ends: Record<string, (look: () => void) => Promise<void>> = {
    'that said DISCONNECT': async (look) => {
      const client = await RawClient.connect(broker, { as: 'alice' });
      await client.subscribe(['iotlab/alice/#', 1]);
      await client.publish('iotlab/alice/x', 'x', { qos: 1 });
      await client.receive();
      look();
      await client.disconnect();
    },
    'that was cut within a packet': async (look) => {
      const client = await RawClient.connect(broker, { as: 'alice' });
      await client.subscribe(['iotlab/alice/#', 2]);
      client.send(mqtt.publish('iotlab/alice/x', Buffer.alloc(100_000)).subarray(0, 50_000));
      const { partial } = broker.parts().sessions.account('alice').balances;
      await eventually(10_000, 'some of the packet is there', () => partial.bytes > 0);
      look();
      client.cut();
    },
    'that said nothing': async (look) => {
      const client = await RawClient.open(broker);
      await eventually(10_000, 'it is there', () => broker.parts().connections.size > 0);
      look();
      client.cut();
    },
    'whose password was wrong': async (look) => {
      const client = await RawClient.open(broker);
      await eventually(10_000, 'it is there', () => broker.parts().connections.size > 0);
      look();
      client.send(mqtt.connect({ login: 'alice', password: 'wrong', clientId: freshId() }));
      await client.closed();
    },
    'that another one took the place of': async (look) => {
      const clientId = freshId();
      const first = await RawClient.connect(broker, { as: 'alice', clientId });
      look();
      const second = await RawClient.connect(broker, { as: 'alice', clientId });
      await first.closed();
      look();
      await second.disconnect();
    },
    'that broke the protocol': async (look) => {
      const client = await RawClient.connect(broker, { as: 'alice' });
      look();
      client.send(Buffer.from([0x30, 2, 0, 9]));
      await client.closed();
    },
  };

  for (const [which, end] of Object.entries(ends)) {
    test(`${which}, nothing stays`, async () => {
      const found: [string, WeakRef<object>][] = [];
      await end(() => void found.push(...belongings()));
      assert.ok(found.length >= 4, `${found.length} things belonged to it`);
      await eventually(10_000, 'the broker has it no more', () => broker.parts().connections.size === 0);
      // A later connection is no reason for anything to stay, and what only remembers the last one has another one by then.
      const later = await RawClient.connect(broker, { as: 'bob' });
      await later.disconnect();
      let stays: string[] = [];
      await eventually(10_000, 'all of it is garbage', () => {
        collect();
        stays = found.filter(([, part]) => part.deref() !== undefined).map(([name]) => name);
        return stays.length === 0;
      }).catch((error: Error) => assert.fail(`${error.message}: ${stays.join(', ')}`));
    });
  }
});
