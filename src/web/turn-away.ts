import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';

/** Says no in HTTP, where it would have become a WebSocket. */
export function turnAway(socket: Socket, status: number, lines: readonly string[], why = ''): void {
  const text = why === '' ? '' : `${why}\n`;
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    ...['Connection: close', 'Content-Type: text/plain; charset=utf-8', `Content-Length: ${Buffer.byteLength(text)}`],
    ...lines,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`, () => socket.destroy());
}
