import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { Scope } from './sockets.js';

/** A BER element: its tag and what is in it. */
export function ber(tag: number, ...parts: (Buffer | readonly number[])[]): Buffer {
  const content = Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array)));
  const { length } = content;
  const size = length < 128 ? [length] : [0x84, length >> 24, (length >> 16) & 255, (length >> 8) & 255, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

/** A SearchResultEntry (RFC 4511, 4.5.2) with one attribute of one value, given so many times. */
export function searchEntry(messageId: number, attribute: string, value: string, times = 1): Buffer {
  const part = ber(0x30, ber(0x04, Buffer.from(attribute)), ber(0x31, ber(0x04, Buffer.from(value))));
  const attributes = ber(0x30, ...Array<Buffer>(times).fill(part));
  return ber(0x30, ber(0x02, [messageId]), ber(0x64, ber(0x04, Buffer.from('uid=alice,dc=x')), attributes));
}

/** What a server says before it closes (RFC 4511, 4.4.1). */
export function noticeOfDisconnection(): Buffer {
  const words = [ber(0x0a, [52]), ber(0x04), ber(0x04, Buffer.from('going down'))];
  return ber(0x30, ber(0x02, [0]), ber(0x78, ...words, ber(0x8a, Buffer.from('1.3.6.1.4.1.1466.20036'))));
}

/** Which request it is, and the tag of what it asks for; it came whole. */
export function readRequest(data: Buffer): { id: number; operation: number } {
  const at = data[1]! < 0x80 ? 2 : 2 + (data[1]! & 0x7f);
  const idBytes = data[at + 1]!;
  return { id: data.readIntBE(at + 2, idBytes), operation: data[at + 2 + idBytes]! };
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
