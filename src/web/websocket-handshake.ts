import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** Every server answers with this (RFC 6455, 1.3). */
const MAGIC = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** [MQTT-6.0.0-3]; the second one is what clients of MQTT 3.1 said. */
const SUBPROTOCOLS = ['mqtt', 'mqttv3.1'];

export type Handshake =
  | { readonly kind: 'accepted'; readonly lines: readonly string[] }
  | { readonly kind: 'refused'; readonly status: number; readonly lines: readonly string[]; readonly why: string };

/** Judges a request that wants to become a WebSocket for MQTT (RFC 6455, 4.2). */
export function judgeHandshake(
  { method, headers }: { readonly method?: string | undefined; readonly headers: IncomingHttpHeaders },
  mayComeFrom: (origin: string, host: string) => boolean,
): Handshake {
  const { origin, host = '' } = headers;
  if (method !== 'GET' || headers.upgrade?.toLowerCase() !== 'websocket') {
    return refused(400, 'only a WebSocket is here');
  }
  if (headers['sec-websocket-version'] !== '13') {
    return refused(426, 'version 13 of WebSocket is spoken here', ['Sec-WebSocket-Version: 13', 'Upgrade: websocket']);
  }
  const key = headers['sec-websocket-key'] ?? '';
  if (!/^[+/0-9A-Za-z]{22}==$/.test(key)) return refused(400, 'Sec-WebSocket-Key is not 16 bytes');
  // Programs that are not in a browser send none.
  if (origin !== undefined && !mayComeFrom(origin, host)) {
    return refused(403, `pages of ${JSON.stringify(origin.slice(0, 100))} may not connect (web.origins)`);
  }
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  const chosen = offered.find((name) => SUBPROTOCOLS.includes(name));
  if (chosen === undefined) return refused(400, 'the subprotocol mqtt is to be asked for [MQTT-6.0.0-3]');
  const accept = createHash('sha1').update(`${key}${MAGIC}`).digest('base64');
  return {
    kind: 'accepted',
    // [MQTT-6.0.0-4]
    lines: [
      ...['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'],
      ...[`Sec-WebSocket-Accept: ${accept}`, `Sec-WebSocket-Protocol: ${chosen}`],
    ],
  };
}

function refused(status: number, why: string, lines: readonly string[] = []): Handshake {
  return { kind: 'refused', status, lines, why };
}
