import { once } from 'node:events';
import net from 'node:net';
import type { Scope } from './sockets.js';

/** What came to a shard behind a proxy, without the header. */
export interface Came {
  readonly shard: number;
  readonly address: string;
  bytes: number;
}

/** Stands in for the brokers of shards: each says in CONNACK's return code which one it is, and counts what comes. */
export async function fakeShards(scope: Scope, paths: readonly string[]): Promise<Came[]> {
  const came: Came[] = [];
  for (const [shard, path] of paths.entries()) {
    const sockets = new Set<net.Socket>();
    const server = net.createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
      let head = Buffer.alloc(0);
      let it: Came | null = null;
      socket.on('data', (chunk) => {
        if (it !== null) {
          it.bytes += chunk.length;
          return;
        }
        head = Buffer.concat([head, chunk]);
        if (head.length < 16) return;
        const end = 16 + head.readUInt16BE(14);
        if (head.length <= end) return;
        it = { shard, address: head.subarray(16, 20).join('.'), bytes: head.length - end };
        came.push(it);
        socket.write(Buffer.from([0x20, 2, 0, shard]));
      });
    });
    server.listen({ path });
    await once(server, 'listening');
    scope.after(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
  }
  return came;
}
