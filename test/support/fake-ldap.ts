import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Scope } from './sockets.js';

/** A BER element: its tag and what is in it. */
export function ber(tag: number, ...parts: (Buffer | readonly number[])[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array)));
  const length = content.length < 128 ? [content.length] : [0x82, content.length >> 8, content.length & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
}

/** An LDAP message whose operation has the form of LDAPResult (RFC 4511, 4.1.9): tag 0x61 answers a bind. */
export function ldapResult(messageId: number, tag: number, code: number, message = ''): Buffer {
  const result = ber(tag, ber(0x0a, [code]), ber(0x04), ber(0x04, Buffer.from(message)));
  return ber(0x30, ber(0x02, [messageId]), result);
}

/** A server that does what `serve` does with each connection; closed with all of them when the test ends. */
export async function fakeServer(t: Scope, serve: (socket: Socket) => void): Promise<{ port: number; open(): number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    serve(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, 'close');
  });
  return { port: (server.address() as AddressInfo).port, open: () => sockets.size };
}
