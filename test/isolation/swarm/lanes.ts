import * as mqtt from '../../support/packets.js';
import { messageOf } from './answers.js';
import { atPace, type Lane, Pending, type Span } from './lane.js';
import { QuietClient, type Resident } from './quiet-client.js';

const payload = (number: number): Buffer => {
  const bytes = Buffer.alloc(100, 'x');
  bytes.writeUInt32BE(number, 0);
  return bytes;
};
const packetId = (number: number): number => (number % 65_535) + 1;

/** A hundred messages a second from one client to another, half of them at QoS 1: from sending to arrival. */
export function deliveryLane(resident: Resident, run: string): Lane {
  const pending = new Pending();
  const harm = { lost: 0, reordered: 0, closed: 0 };
  const topic = `iotlab/${resident.login}/node/m3-1/out`;
  let expected = 0;
  let pause = () => {};
  const clients: QuietClient[] = [];
  const onLost = () => {
    harm.closed += 1;
    pending.giveUp();
  };
  return {
    name: 'delivery',
    spans: pending.spans,
    harm,
    async start() {
      const subscriber: QuietClient = await QuietClient.connect(resident, {
        clientId: `${run}-subscriber`,
        onLost,
        onAnswer(answer) {
          if (answer.type !== mqtt.PUBLISH) return;
          const { id, payload } = messageOf(answer);
          const number = payload.readUInt32BE(0);
          if (number < expected) harm.reordered += 1;
          expected = number + 1;
          pending.came(number);
          if (id > 0) subscriber.send(mqtt.puback(id));
        },
      });
      await subscriber.subscribe(`iotlab/${resident.login}/node/+/out`, 1);
      const publisher = await QuietClient.connect(resident, { clientId: `${run}-publisher`, onLost });
      clients.push(subscriber, publisher);
      pause = atPace(10, (number) => {
        pending.sent(number);
        const options = number % 2 === 1 ? { qos: 1, id: packetId(number) } : {};
        publisher.send(mqtt.publish(topic, payload(number), options));
      });
    },
    async stop(timeoutMs) {
      pause();
      harm.lost += await pending.settle(timeoutMs);
      for (const client of clients) client.leave();
    },
  };
}

/**
 * Twenty messages a second at QoS 1 for a persistent session whose client is away: from sending to the PUBACK, which
 * stands for a write to the disk. At the end the client comes back and wants all of them, in order.
 */
export function pubackLane(resident: Resident, run: string): Lane {
  const pending = new Pending();
  const harm = { lost: 0, reordered: 0, closed: 0 };
  const topic = `iotlab/${resident.login}/kept`;
  const clientId = `${run}-away`;
  const acknowledged = new Set<number>();
  let pause = () => {};
  let publisher: QuietClient | null = null;
  return {
    name: 'puback',
    stores: true,
    spans: pending.spans,
    harm,
    async start() {
      const away = await QuietClient.connect(resident, { clientId, clean: false });
      await away.subscribe(topic, 1);
      away.leave();
      publisher = await QuietClient.connect(resident, {
        clientId: `${run}-keeper`,
        onAnswer({ type, head }) {
          if (type !== mqtt.PUBACK) return;
          const number = head.readUInt16BE(0) - 1;
          acknowledged.add(number);
          pending.came(number);
        },
        onLost() {
          harm.closed += 1;
          pending.giveUp();
        },
      });
      pause = atPace(50, (number) => {
        // A queue holds a thousand messages by default: what is beyond would be lost by right.
        if (number >= 1_000) return;
        pending.sent(number);
        publisher?.send(mqtt.publish(topic, payload(number), { qos: 1, id: packetId(number) }));
      });
    },
    async stop(timeoutMs) {
      pause();
      const unanswered = await pending.settle(timeoutMs);
      publisher?.leave();
      const { missing, reordered } = await fetchKept(resident, clientId, acknowledged, timeoutMs);
      harm.lost += unanswered + missing;
      harm.reordered += reordered;
    },
  };
}

/** Comes back as the client that was away, until everything that was acknowledged is there. */
async function fetchKept(
  resident: Resident,
  clientId: string,
  acknowledged: ReadonlySet<number>,
  timeoutMs: number,
): Promise<{ missing: number; reordered: number }> {
  const missing = new Set(acknowledged);
  let reordered = 0;
  let last = -1;
  if (missing.size === 0) return { missing: 0, reordered };
  let finish = () => {};
  const complete = new Promise<void>((resolve) => {
    finish = resolve;
  });
  // Messages may come together with the CONNACK, before there is a client to answer with.
  const early: Buffer[] = [];
  let client: QuietClient | null = null;
  try {
    client = await QuietClient.connect(resident, {
      clientId,
      clean: false,
      onAnswer(answer) {
        if (answer.type !== mqtt.PUBLISH) return;
        const { id, payload } = messageOf(answer);
        const number = payload.readUInt32BE(0);
        if (number < last) reordered += 1;
        last = number;
        missing.delete(number);
        if (client) client.send(mqtt.puback(id));
        else early.push(mqtt.puback(id));
        if (missing.size === 0) finish();
      },
    });
    for (const packet of early) client.send(packet);
    const timer = setTimeout(finish, timeoutMs);
    await complete;
    clearTimeout(timer);
  } catch {
    // Not let in: everything is missing.
  }
  client?.leave();
  return { missing: missing.size, reordered };
}

/** Four logins a second: from the TCP connection to the CONNACK. */
export function loginLane(resident: Resident, run: string): Lane {
  const spans: Span[] = [];
  const harm = { lost: 0, reordered: 0, closed: 0 };
  const open = new Set<Promise<void>>();
  let pause = () => {};
  const login = async (number: number) => {
    const fromMs = performance.now();
    try {
      const client = await QuietClient.connect(resident, { clientId: `${run}-login-${number}` });
      spans.push({ fromMs, toMs: performance.now() });
      client.leave();
    } catch {
      spans.push({ fromMs, toMs: performance.now() });
      harm.closed += 1;
    }
  };
  return {
    name: 'login',
    spans,
    harm,
    async start() {
      await login(0);
      spans.length = 0;
      pause = atPace(250, (number) => {
        const attempt: Promise<void> = login(number + 1).finally(() => open.delete(attempt));
        open.add(attempt);
      });
    },
    async stop(timeoutMs) {
      pause();
      const timeout = new Promise((resolve) => setTimeout(resolve, timeoutMs).unref());
      await Promise.race([Promise.all(open), timeout]);
      harm.closed += open.size;
    },
  };
}
