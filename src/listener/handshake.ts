import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import type { Clock } from '../clock.js';
import { handshakeFailure, plaintextGuess } from './handshake-failure.js';

export type HandshakeEnd =
  | { readonly kind: 'secure'; readonly socket: TLSSocket }
  | { readonly kind: 'plaintext' | 'failed' | 'late'; readonly reason: string }
  /** The peer went without a word: a port scan, a health check. */
  | { readonly kind: 'gone' };

/** Bytes that a socket buffers each way before it asks its reader or writer to wait. */
const highWaterMark = 65_536;

/**
 * From TCP accept to the end of the TLS handshake, within `timeoutMs` in all. Calls `done` exactly once; for every end
 * but `secure` the connection is closed already. A peer that does not speak TLS gets not one byte: its first bytes are
 * looked at before OpenSSL, which would send an alert, sees them.
 *
 * A `tls.Server` is not used because it does not say which of its TCP connections became which secure one, so neither a
 * deadline over both phases nor an address in the log could be had. The price of looking first could not be measured;
 * a connection even keeps 6 KB less, because its first read happens before OpenSSL has its buffers.
 */
export function shakeHands(
  raw: Socket,
  options: {
    context: () => SecureContext;
    clock: Clock;
    timeoutMs: number;
    /** Calls back when it is the connection's turn to begin. */
    whenItsTurn: (begin: () => void) => void;
  },
  done: (end: HandshakeEnd) => void,
): void {
  let secure: TLSSocket | null = null;
  let over = false;
  const finish = (end: HandshakeEnd) => {
    if (over) return;
    over = true;
    cancelDeadline();
    raw.off('data', onFirstBytes).off('end', onEnd).off('close', onClose);
    secure?.off('secure', onSecure).off('end', onEnd).off('close', onClose).off('error', onError);
    if (end.kind !== 'secure') {
      (secure ?? raw).on('error', ignore).destroy();
    }
    done(end);
  };
  const cancelDeadline = options.clock.after(options.timeoutMs, () =>
    finish({ kind: 'late', reason: `not complete after ${options.timeoutMs} ms` }),
  );
  const onSecure = () => finish({ kind: 'secure', socket: secure! });
  const onEnd = () =>
    finish(secure ? { kind: 'failed', reason: 'the client closed the connection' } : { kind: 'gone' });
  const onClose = onEnd;
  const onError = (error: Error) => finish({ kind: 'failed', reason: handshakeFailure(error) });
  const onFirstBytes = (bytes: Buffer) => {
    raw.off('end', onEnd).off('close', onClose).pause();
    if (!looksLikeTls(bytes)) {
      finish({ kind: 'plaintext', reason: plaintextGuess(bytes[0]!) });
      return;
    }
    options.whenItsTurn(() => {
      if (!over) begin(bytes);
    });
  };
  const begin = (bytes: Buffer) => {
    raw.unshift(bytes);
    const tlsOptions = {
      isServer: true,
      secureContext: options.context(),
      requestCert: false,
      rejectUnauthorized: false,
      highWaterMark,
    };
    secure = new TLSSocket(raw, tlsOptions);
    secure.on('_tlsError', destroyBroken);
    secure.on('secure', onSecure).on('end', onEnd).on('close', onClose).on('error', onError);
  };
  // After the handshake TLSSocket hands the TCP socket's errors on as its own; this one only keeps them from being fatal.
  raw.on('error', ignore);
  raw.once('data', onFirstBytes).on('end', onEnd).on('close', onClose);
}

/**
 * Can these be the first bytes of a TLS ClientHello: a handshake record (22) of version 3.x that holds a ClientHello (1)
 * (RFC 8446, 4 and 5.1)? Judges as many of them as there are. To anything else OpenSSL would answer with an alert.
 */
function looksLikeTls(bytes: Buffer): boolean {
  return bytes[0] === 22 && (bytes.length < 2 || bytes[1] === 3) && (bytes.length < 6 || bytes[5] === 1);
}

function ignore(): void {}

/** Without a `tls.Server`, TLSSocket only announces a broken record (a bad MAC, plaintext amid TLS) and stays open. */
function destroyBroken(this: TLSSocket, error: Error): void {
  this.destroy(error);
}
