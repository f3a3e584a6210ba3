import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import * as mqtt from '../support/packets.js';
import { RawClient, type Target } from '../support/raw-client.js';

// What a user does who gives no thought to the others. Each runs in a process of its own until it is told to stop:
// `node noise.js KIND TARGET`. The quiet user, whose messages are timed, is one of them.

export type Noise = 'stuck' | 'storm' | 'filters' | 'retained';

export interface QuietReport {
  readonly sent: number;
  readonly received: number;
  readonly inOrder: boolean;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

const count = 10_000;

/** A subscriber that never reads, and ten publishers that send small messages as fast as they are let. */
async function stuck(target: Target): Promise<void> {
  const subscriber = await RawClient.connect(target, { as: 'alice', keepaliveSeconds: 0 });
  await subscriber.subscribe(['iotlab/alice/#', 1]);
  subscriber.socket.pause();
  const burst = Buffer.concat(Array.from({ length: 500 }, () => mqtt.publish('iotlab/alice/noise', 'x'.repeat(20))));
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      const publisher = await RawClient.connect(target, { as: 'alice', keepaliveSeconds: 0 });
      for (;;) {
        if (publisher.isOver) throw new Error('a publisher was thrown out');
        if (publisher.socket.write(burst)) await sleep(0);
        else await new Promise((resolve) => publisher.socket.once('drain', resolve));
      }
    }),
  );
}

/** Connections, as many and as fast as possible. */
async function storm(target: Target): Promise<void> {
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      for (;;) {
        const client = await RawClient.connect(target, { as: 'alice' }).catch(() => null);
        client?.cut();
      }
    }),
  );
}

/** 10 000 filters, and again, and again. */
async function filters(target: Target): Promise<void> {
  const client = await RawClient.connect(target, { as: 'alice', keepaliveSeconds: 0 });
  for (;;) {
    for (let start = 0; start < count; start += 1000) {
      const some = Array.from({ length: 1000 }, (_, index) => `iotlab/alice/+/${start + index}/#`);
      await client.subscribe(...some.map((filter) => [filter, 1] as const));
    }
    for (let start = 0; start < count; start += 1000) {
      await client.unsubscribe(...Array.from({ length: 1000 }, (_, index) => `iotlab/alice/+/${start + index}/#`));
    }
  }
}

/** 10 000 different retained topics, and again, and again. */
async function retained(target: Target): Promise<void> {
  const client = await RawClient.connect(target, { as: 'alice', keepaliveSeconds: 0 });
  for (let round = 0; ; round += 1) {
    for (let start = 0; start < count; start += 500) {
      client.send(
        ...Array.from({ length: 500 }, (_, index) =>
          mqtt.publish(`iotlab/alice/state/${start + index}`, `${round}`, { qos: 1, id: index + 1, retain: true }),
        ),
      );
      for (let acknowledged = 0; acknowledged < 500; acknowledged += 1) await client.take(mqtt.PUBACK, 30_000);
    }
  }
}

/** Bobby: a hundred messages a second, half of them at QoS 1. Reports how long each took and whether any was lost. */
async function quiet(target: Target, seconds: number): Promise<QuietReport> {
  const subscriber = await RawClient.connect(target, { as: 'bobby' });
  await subscriber.subscribe(['iotlab/bobby/node/+/out', 1]);
  const publisher = await RawClient.connect(target, { as: 'bobby' });
  const latencies: number[] = [];
  let inOrder = true;
  let sent = 0;
  const total = seconds * 100;
  const receiving = (async () => {
    for (let expected = 0; expected < total; expected += 1) {
      const message = await subscriber.message(10_000);
      const [number, at] = message.payload.split(' ');
      latencies.push(performance.now() - Number(at));
      if (Number(number) !== expected) inOrder = false;
      if (message.qos === 1) subscriber.send(mqtt.puback(message.id));
    }
  })();
  const start = performance.now();
  while (sent < total) {
    const due = Math.min(total, Math.floor((performance.now() - start) / 10));
    for (; sent < due; sent += 1) {
      const payload = `${sent} ${performance.now()}`;
      const options = sent % 2 ? { qos: 1, id: (sent % 65_535) + 1 } : {};
      publisher.send(mqtt.publish('iotlab/bobby/node/m3-1/out', payload, options));
    }
    await sleep(5);
  }
  await receiving.catch(() => {});
  const sorted = [...latencies].sort((a, b) => a - b);
  const at = (part: number) => sorted[Math.floor(sorted.length * part)] ?? Number.NaN;
  return { sent, received: latencies.length, inOrder, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: sorted.at(-1) ?? 0 };
}

const noises = { stuck, storm, filters, retained };

const [, , kind, argument] = process.argv;
if (kind !== undefined && argument !== undefined && process.send) {
  process.on('disconnect', () => process.exit(0));
  const { target, seconds } = JSON.parse(argument) as { target: Target; seconds: number };
  if (kind === 'quiet') {
    process.send(await quiet(target, seconds), () => process.exit(0));
  } else {
    // The noisy one would be on another machine: it may have what the broker and the quiet user leave of this one.
    os.setPriority(19);
    await noises[kind as keyof typeof noises](target);
  }
}
