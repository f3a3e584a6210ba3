import assert from 'node:assert/strict';
import { Client5, type Client5Options } from './client5.js';
import * as mqtt from './packets.js';
import * as mqtt5 from './packets5.js';
import { RawClient, type Target } from './raw-client.js';

const hex = (code: number) => `0x${code.toString(16)}`;

/**
 * Connects, sends the packets, and expects to be told this reason code in DISCONNECT and nothing else, neither before
 * nor after.
 */
export async function expectGoodbye(
  target: Target,
  code: number,
  packets: readonly Uint8Array[],
  options: Client5Options = {},
): Promise<void> {
  await using client = await Client5.connect(target, options);
  client.send(...packets);
  const packet = await client.raw.next();
  assert.equal(packet.type, mqtt.DISCONNECT, `DISCONNECT and no packet of type ${packet.type}`);
  const goodbye = mqtt5.readDisconnect(packet);
  assert.equal(hex(goodbye.code), hex(code), goodbye.properties.reasonString);
  await client.raw.expectClose(); // [MQTT-3.14.4-1]
}

/** Sends a CONNECT of any bytes, and expects to be refused with this reason code, and not a word more. */
export async function expectRefusal(target: Target, code: number, connect: Uint8Array): Promise<void> {
  await using client = await RawClient.open(target);
  client.send(connect);
  const { type, body } = await client.next();
  assert.equal(type, mqtt.CONNACK);
  assert.deepEqual([body[0], hex(body[1]!), ...body.subarray(2)], [0, hex(code), 0]);
  await client.expectClose();
}
