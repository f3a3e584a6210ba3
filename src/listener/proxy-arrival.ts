import type { Socket } from 'node:net';
import type { Clock } from '../clock.js';
import { readProxyHeader } from './proxy-header.js';

export type ProxyArrival =
  | { readonly kind: 'relayed'; readonly address: string; readonly port: number }
  /** The proxy itself, and it has something to say. */
  | { readonly kind: 'own' }
  | { readonly kind: 'bad' | 'late'; readonly reason: string }
  /** It went without having said anything: a check whether somebody listens. */
  | { readonly kind: 'gone' };

const NOTHING = Buffer.alloc(0);

/**
 * Takes the header off a stream, within `timeoutMs`, and leaves what follows it unread. Calls `done` exactly once; the
 * stream is left open and paused. What the proxy opens for itself is waited with until its first byte: most of those
 * are checks that never send one.
 */
export function receiveProxyHeader(
  socket: Socket,
  { clock, timeoutMs }: { readonly clock: Clock; readonly timeoutMs: number },
  done: (arrival: ProxyArrival) => void,
): void {
  let bytes: Buffer = NOTHING;
  let over = false;
  const finish = (arrival: ProxyArrival, rest: Buffer = NOTHING) => {
    if (over) return;
    over = true;
    cancelDeadline();
    socket.off('data', onData).off('end', onEnd).off('close', onEnd).pause();
    if (rest.length > 0) socket.unshift(rest);
    done(arrival);
  };
  const cancelDeadline = clock.after(timeoutMs, () =>
    finish({ kind: 'late', reason: `no whole header of the PROXY protocol after ${timeoutMs} ms` }),
  );
  const onData = (chunk: Buffer) => {
    bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
    const header = readProxyHeader(bytes);
    if (header.kind === 'incomplete') return;
    if (header.kind === 'bad') finish(header);
    else if (header.kind === 'relayed') finish(header, bytes.subarray(header.length));
    else if (bytes.length > header.length) finish({ kind: 'own' }, bytes.subarray(header.length));
  };
  const onEnd = () => finish({ kind: 'gone' });
  socket.on('data', onData).on('end', onEnd).on('close', onEnd).resume();
}
