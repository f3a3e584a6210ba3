import {
  CONNECT,
  DISCONNECT,
  PINGREQ,
  PUBACK,
  PUBCOMP,
  PUBREC,
  PUBREL,
  SUBSCRIBE,
  UNSUBSCRIBE,
} from '../mqtt/packets.js';
import { ProtocolError, pingresp } from './codec.js';
import { connect } from './connect.js';
import type { Connection } from './connection.js';
import { subscribe, unsubscribe } from './subscribe.js';

/** The first packet of a connection: a CONNECT, or the end [MQTT-3.1.0-1]. */
export function connectPacket(
  connection: Connection,
  head: number,
  chunk: Buffer,
  start: number,
  bodyStart: number,
  end: number,
): void {
  if (head !== CONNECT << 4) throw new ProtocolError('MQTT-3.1.0-1', 'the first packet is not a CONNECT');
  // Copied: checking the credentials takes longer than the received bytes are good for.
  connect(connection, Buffer.from(chunk.subarray(start, end)), bodyStart - start);
}

/** The largest packet that is no PUBLISH: ten thousand filters of a hundred bytes. */
const LARGEST_CONTROL_BYTES = 1024 * 1024;

/** Every packet of a connected client but PUBLISH. Returns what it cost, in units of a delivery. */
export function controlPacket(
  connection: Connection,
  head: number,
  chunk: Buffer,
  start: number,
  bodyStart: number,
  end: number,
): number {
  const session = connection.session!;
  if (end - start > LARGEST_CONTROL_BYTES) {
    throw new ProtocolError('too-large', `a packet of ${end - start} bytes that is no PUBLISH`);
  }
  // MQTT 3.1 has a DUP flag in SUBSCRIBE, UNSUBSCRIBE and PUBREL; 3.1.1 reserves the bit.
  const flagged = session.level === 3 ? head & ~8 : head;
  switch (head >> 4) {
    case PUBACK:
      session.outgoing.puback(acknowledgedId(head, PUBACK << 4, chunk, bodyStart, end));
      return 1;
    case PINGREQ:
      if (head !== PINGREQ << 4 || end !== bodyStart) throw new ProtocolError('MQTT-2.2.2-2', 'malformed PINGREQ');
      connection.outbox.packet(pingresp);
      return 1;
    case PUBREC:
      session.outgoing.pubrec(acknowledgedId(head, PUBREC << 4, chunk, bodyStart, end));
      return 1;
    case PUBREL: // [MQTT-3.6.1-1]
      connection.incoming!.pubrel(acknowledgedId(flagged, (PUBREL << 4) | 2, chunk, bodyStart, end));
      return 1;
    case PUBCOMP:
      session.outgoing.pubcomp(acknowledgedId(head, PUBCOMP << 4, chunk, bodyStart, end));
      return 1;
    case SUBSCRIBE: // [MQTT-3.8.1-1]
      if (flagged !== ((SUBSCRIBE << 4) | 2)) throw new ProtocolError('MQTT-3.8.1-1', 'reserved bits of SUBSCRIBE');
      chunk[start] = flagged; // The parser knows the head of 3.1.1 only.
      return subscribe(connection, chunk.subarray(start, end), bodyStart - start);
    case UNSUBSCRIBE: // [MQTT-3.10.1-1]
      if (flagged !== ((UNSUBSCRIBE << 4) | 2))
        throw new ProtocolError('MQTT-3.10.1-1', 'reserved bits of UNSUBSCRIBE');
      chunk[start] = flagged; // The parser knows the head of 3.1.1 only.
      return unsubscribe(connection, chunk.subarray(start, end), bodyStart - start);
    case DISCONNECT:
      if (head !== DISCONNECT << 4) throw new ProtocolError('MQTT-3.14.1-1', 'reserved bits of DISCONNECT');
      if (end !== bodyStart) throw new ProtocolError('malformed', 'DISCONNECT with a body');
      connection.close('disconnect');
      return 1;
    case CONNECT:
      throw new ProtocolError('MQTT-3.1.0-2', 'a second CONNECT');
    default:
      throw new ProtocolError('MQTT-2.2.2-2', `a packet of type ${head >> 4}, which clients do not send`);
  }
}

/** The packet id that is the whole body of an acknowledgement. */
function acknowledgedId(head: number, expected: number, chunk: Buffer, bodyStart: number, end: number): number {
  if (head !== expected) throw new ProtocolError('MQTT-2.2.2-2', 'reserved bits of an acknowledgement');
  if (end - bodyStart !== 2) throw new ProtocolError('malformed', 'an acknowledgement that is not two bytes long');
  return (chunk[bodyStart]! << 8) | chunk[bodyStart + 1]!;
}
