// What other users keep, and what it costs one user: 100 000 subscriptions, or 100 000 retained messages, of ten users.
// Prepared in a process that stays connected while another one measures.
import { cpuMicroseconds } from './process.mjs';
import { Peer, packet, text, u16, unsubscribePacket } from './wire.mjs';

const filtersPerPacket = 100;

/** Ten users with `count` subscriptions between them, on topics of the shape of everybody's. */
export async function keepSubscriptions(target, { users, count }) {
  const peers = [];
  for (const user of users) {
    const peer = await Peer.connect(target, `keep${process.pid}-${user.login}`, user);
    peers.push(peer);
    const each = count / users.length;
    for (let start = 0; start < each; start += filtersPerPacket) {
      const filters = Array.from({ length: filtersPerPacket }, (_, index) => {
        const number = start + index;
        return number % 2 ? `iotlab/${user.login}/node/+/${number}` : `iotlab/${user.login}/node/${number}/#`;
      });
      await peer.subscribe(filters, 0);
    }
  }
  return peers;
}

/** Ten users with `count` retained messages between them. */
export async function keepRetained(target, { users, count }) {
  for (const user of users) {
    const peer = await Peer.connect(target, `keep${process.pid}-${user.login}`, user);
    const each = count / users.length;
    let acknowledged = 0;
    let wake = () => {};
    peer.onPacket = () => {
      acknowledged += 1;
    };
    peer.after = () => wake();
    for (let start = 0; start < each; start += 500) {
      const packets = Array.from({ length: 500 }, (_, index) => {
        const topic = text(`iotlab/${user.login}/node/${start + index}/state`);
        return packet(0x33, topic, u16(index + 1), Buffer.alloc(100, 'r'));
      });
      peer.socket.write(Buffer.concat(packets));
      while (acknowledged < start + 500) {
        await new Promise((resolve) => {
          wake = resolve;
        });
      }
    }
    peer.close();
  }
  return [];
}

/** The cost of SUBSCRIBE and UNSUBSCRIBE with a wildcard, for a user who has ten retained messages. */
export async function subscribing(target, { users: [user], seconds }) {
  const peer = await Peer.connect(target, `sub${process.pid}`, user);
  for (let index = 0; index < 10; index += 1) {
    await peer.request(packet(0x33, text(`iotlab/${user.login}/mine/${index}`), u16(1), Buffer.from('r')), 4);
  }
  const latencies = [];
  const before = { cpu: cpuMicroseconds(target.pid), at: performance.now() };
  while (performance.now() - before.at < seconds * 1000) {
    const start = performance.now();
    await peer.subscribe([`iotlab/${user.login}/+/#`], 0);
    latencies.push(performance.now() - start);
    await peer.request(unsubscribePacket(2, `iotlab/${user.login}/+/#`), 11);
  }
  const cpu = cpuMicroseconds(target.pid) - before.cpu;
  peer.close();
  latencies.sort((a, b) => a - b);
  const at = (part) => latencies[Math.floor(latencies.length * part)];
  const rate = (latencies.length * 1000) / (performance.now() - before.at);
  return { microseconds: cpu / latencies.length, rate, p50Ms: at(0.5), p99Ms: at(0.99) };
}
