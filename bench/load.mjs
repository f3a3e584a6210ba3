// Closed-loop load: `pairs` users, each with one publisher and `fan` subscribers. A publisher sends further messages
// only when every subscriber has received, and at QoS 1 the broker has acknowledged, the earlier ones; so nothing is
// dropped, and the rate is what the broker delivers. Runs in a process of its own (see driver.mjs).
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMicroseconds, residentKilobytes } from './process.mjs';
import { noProperties, Peer, packet, text, u16 } from './wire.mjs';

const maxLatencies = 1_000_000;
/** A publisher sends this many at once: as a client does that has a pipe full of lines. */
const step = 20;

export async function load(
  target,
  { users, pairs, fan, qos, clean = true, window = 200, size = 100, version = 4, everyMs = 0, seconds, warmup },
) {
  const properties = noProperties(version);
  let received = 0;
  let latencies = [];
  const peers = [];
  const starts = [];
  const lost = [];
  const timers = [];
  const open = async (name, user) => {
    const peer = await Peer.connect(target, name, user, clean, version);
    peer.onLost = (error) => lost.push(error);
    peers.push(peer);
    return peer;
  };

  for (const [index, user] of users.slice(0, pairs).entries()) {
    const head = text(`iotlab/${user.login}/node/m3-${index}/out`);
    const counts = new Array(fan).fill(0);
    let acknowledged = 0;
    let finished = 0;
    let credit = 0;
    let id = 0;

    const refill = () => {
      const done = Math.min(qos > 0 ? acknowledged : Number.POSITIVE_INFINITY, ...counts);
      credit += done - finished;
      finished = done;
      const count = credit - (credit % Math.min(step, window));
      if (count === 0) return;
      credit -= count;
      // At a pace of its own instead of the broker's.
      if (everyMs === 0) send(count);
    };
    for (let member = 0; member < fan; member += 1) {
      const peer = await open(`s${process.pid}-${index}-${member}`, user);
      await peer.subscribe([`iotlab/${user.login}/node/+/out`], qos);
      let acks = [];
      let fresh = 0;
      peer.onPacket = (first, bytes, start) => {
        if (first >> 4 !== 3) return;
        fresh += 1;
        const topicEnd = start + 2 + bytes.readUInt16BE(start);
        if (qos > 0) acks.push(0x40, 2, bytes[topicEnd], bytes[topicEnd + 1]);
        if (member === 0 && latencies.length < maxLatencies) {
          const payloadStart = topicEnd + (qos > 0 ? 2 : 0) + properties.length;
          latencies.push(performance.now() - bytes.readDoubleBE(payloadStart));
        }
      };
      peer.after = () => {
        if (acks.length > 0) peer.socket.write(Buffer.from(acks));
        acks = [];
        counts[member] += fresh;
        received += fresh;
        fresh = 0;
        refill();
      };
    }
    const publisher = await open(`p${process.pid}-${index}`, user);
    publisher.onPacket = (first) => {
      if (first >> 4 === 4) acknowledged += 1;
    };
    publisher.after = refill;
    const blank = Buffer.alloc(properties.length + size, 'x');
    blank.set(properties);
    const send = (count) => {
      const packets = [];
      for (let sent = 0; sent < count; sent += 1) {
        // Properties and payload in one, so that one version costs the load no more than another.
        const payload = Buffer.from(blank);
        payload.writeDoubleBE(performance.now(), properties.length);
        if (qos > 0) id = (id % 60_000) + 1;
        packets.push(packet(0x30 | (qos << 1), head, qos > 0 ? u16(id) : Buffer.alloc(0), payload));
      }
      publisher.socket.write(Buffer.concat(packets));
    };
    starts.push(() => {
      send(window);
      let sent = window;
      if (everyMs === 0) return;
      timers.push(
        setInterval(() => {
          if (finished < sent) return;
          send(window);
          sent += window;
        }, everyMs),
      );
    });
  }

  for (const start of starts) start();
  await sleep(warmup * 1000);
  const beside = target.beside ?? [];
  const before = {
    ...{ received, cpu: cpuMicroseconds(target.pid), beside: cpuMicroseconds(beside), at: performance.now() },
  };
  latencies = [];
  await sleep(seconds * 1000);
  const elapsed = (performance.now() - before.at) / 1000;
  const delivered = received - before.received;
  const cpu = cpuMicroseconds(target.pid) - before.cpu;
  const besideCpu = cpuMicroseconds(beside) - before.beside;
  for (const timer of timers) clearInterval(timer);
  const sorted = Float64Array.from(latencies).sort();
  for (const peer of peers) peer.close();
  if (lost.length > 0) throw lost[0];
  if (delivered === 0) throw new Error('nothing was delivered in the measured time');
  return {
    microseconds: cpu / delivered,
    besideMicroseconds: besideCpu / delivered,
    rate: delivered / elapsed,
    p50Ms: sorted[Math.floor(sorted.length * 0.5)],
    p99Ms: sorted[Math.floor(sorted.length * 0.99)],
    cores: cpu / 1e6 / elapsed,
    residentMb: residentKilobytes(target.pid) / 1024,
  };
}
