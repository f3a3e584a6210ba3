// Many users at once, each with several clients, at a gentle rate: what operators look at, not what the broker can bear.
import { spawn } from 'node:child_process';
import { noProperties, Peer, packet, text, u16 } from './wire.mjs';

const TICK_MS = 5;
const LANES = 20;

/**
 * Opens `count` connections of `users` in turn. The first client of each user publishes `perSecond` messages of QoS 1, and
 * the second one gets them; `busy` is a user who sends `busyPerSecond`. Tells over IPC how many were delivered, and which
 * connections have ended and when.
 */
export async function crowd(target, { users, count, perSecond, busyPerSecond = 0 }) {
  let delivered = 0;
  const publishers = [];
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const number = next++;
      const user = users[number % users.length];
      const member = Math.floor(number / users.length);
      const clientId = `crowd-${number % users.length}-${member}`;
      const peer = await Peer.connect(target, clientId, user);
      peer.onLost = () => process.send({ closed: clientId, at: Date.now() });
      const topic = `iotlab/${user.login}/crowd`;
      if (member === 0) publishers[number % users.length] = { peer, head: text(topic), id: 0, owed: 0 };
      await peer.subscribe([member === 1 ? topic : `iotlab/${user.login}/idle/${member}`], 1);
      if (member !== 1) continue;
      let acks = [];
      peer.onPacket = (first, bytes, start) => {
        if (first >> 4 !== 3) return;
        delivered++;
        const topicEnd = start + 2 + bytes.readUInt16BE(start);
        acks.push(0x40, 2, bytes[topicEnd], bytes[topicEnd + 1]);
      };
      peer.after = () => {
        if (acks.length > 0) peer.socket.write(Buffer.from(acks));
        acks = [];
      };
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));

  const payload = Buffer.alloc(noProperties(4).length + 100, 'x');
  let lastMs = performance.now();
  setInterval(() => {
    const nowMs = performance.now();
    const seconds = (nowMs - lastMs) / 1_000;
    lastMs = nowMs;
    for (const [index, publisher] of publishers.entries()) {
      publisher.owed += (index === 0 && busyPerSecond > 0 ? busyPerSecond : perSecond) * seconds;
      const packets = [];
      for (; publisher.owed >= 1; publisher.owed--) {
        publisher.id = (publisher.id % 60_000) + 1;
        packets.push(packet(0x32, publisher.head, u16(publisher.id), payload));
      }
      if (packets.length > 0 && !publisher.peer.socket.destroyed) publisher.peer.socket.write(Buffer.concat(packets));
    }
  }, TICK_MS);
  process.on('message', () => process.send({ delivered }));
}

/**
 * One user who minds: a message of QoS 1 to himself every few milliseconds, until it is there; and beside it the same
 * through a process that does nothing else (`cat`), which tells what the machine itself does to who has to wait for a turn.
 * Asked over IPC, tells how long both took since it was asked last.
 */
export async function probe(target, { user, everyMs }) {
  const peer = await Peer.connect(target, `probe-${process.pid}`, user);
  const topic = `iotlab/${user.login}/probe`;
  await peer.subscribe([topic], 1);
  let tookMs = [];
  let controlMs = [];
  const control = spawn('cat', { stdio: ['pipe', 'pipe', 'ignore'] });
  process.once('exit', () => control.kill());
  control.stdout.on('data', (bytes) => {
    for (let at = 0; at + 8 <= bytes.length; at += 8) controlMs.push(performance.now() - bytes.readDoubleBE(at));
  });
  peer.onPacket = (first, bytes, start) => {
    if (first >> 4 !== 3) return;
    const topicEnd = start + 2 + bytes.readUInt16BE(start);
    tookMs.push(performance.now() - bytes.readDoubleBE(topicEnd + 2));
    peer.socket.write(Buffer.from([0x40, 2, bytes[topicEnd], bytes[topicEnd + 1]]));
  };
  let id = 0;
  setInterval(() => {
    id = (id % 60_000) + 1;
    const payload = Buffer.alloc(8);
    payload.writeDoubleBE(performance.now());
    peer.socket.write(packet(0x32, text(topic), u16(id), payload));
    control.stdin.write(payload);
  }, everyMs);
  process.on('message', () => {
    process.send({ tookMs: { messages: tookMs, control: controlMs } });
    tookMs = [];
    controlMs = [];
  });
}
