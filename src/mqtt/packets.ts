/** Control packet types [MQTT-2.2.1], as they stand in the upper four bits of the first byte. */
export const CONNECT = 1;
export const CONNACK = 2;
export const PUBLISH = 3;
export const PUBACK = 4;
export const PUBREC = 5;
export const PUBREL = 6;
export const PUBCOMP = 7;
export const SUBSCRIBE = 8;
export const SUBACK = 9;
export const UNSUBSCRIBE = 10;
export const UNSUBACK = 11;
export const PINGREQ = 12;
export const PINGRESP = 13;
export const DISCONNECT = 14;
export const AUTH = 15;

export type Qos = 0 | 1 | 2;

export function lowerQos(a: Qos, b: Qos): Qos {
  return a < b ? a : b;
}

/** MQTT 3.1, 3.1.1 and 5, by the protocol level of CONNECT. */
export type ProtocolLevel = 3 | 4 | 5;

/** CONNACK return codes of MQTT 3.1 and 3.1.1. Code 4 (bad user name or password) is never sent: see REFUSED. */
export const ConnectCode = {
  ACCEPTED: 0,
  UNACCEPTABLE_PROTOCOL: 1,
  IDENTIFIER_REJECTED: 2,
  SERVER_UNAVAILABLE: 3,
  /** Wrong password, unknown user, no password, no user name: the service answers all of them alike. */
  NOT_AUTHORISED: 5,
} as const;

/** SUBACK's failure code [MQTT-3.9.3-2]. */
export const SUBSCRIPTION_REFUSED = 0x80;

/** The largest CONNECT that is possible: five fields of 65 535 bytes each, with their lengths and the fixed part. */
export const LARGEST_CONNECT_BYTES = 5 * 65_537 + 32;

/** The largest packet that is possible: a Remaining Length of four bytes, and what it stands for [MQTT-2.2.3]. */
export const MAX_PACKET_BYTES = 5 + 268_435_455;

/** Bytes that the Remaining Length field takes for `length` [MQTT-2.2.3]. */
export function lengthBytes(length: number): number {
  return length < 128 ? 1 : length < 16_384 ? 2 : length < 2_097_152 ? 3 : 4;
}

/** Writes `length` as a Remaining Length field at `at` and returns the offset behind it. */
export function writeLength(buffer: Buffer, length: number, at: number): number {
  let rest = length;
  let i = at;
  while (rest > 127) {
    buffer[i++] = (rest & 127) | 128;
    rest >>>= 7;
  }
  buffer[i++] = rest;
  return i;
}
