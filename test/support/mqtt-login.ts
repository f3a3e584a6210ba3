import { once } from 'node:events';
import tls from 'node:tls';
import mqtt, { type IPublishPacket, type Packet } from 'mqtt-packet';
import type { Address } from './exact-clients.js';
import { contextFor } from './raw-client.js';

export interface MqttLogin {
  /** Code of the CONNACK (3.1.1); null when the connection was closed without one. */
  readonly code: number | null;
  readonly socket: tls.TLSSocket;
  /** Resolves when the broker has closed the connection. */
  readonly closed: Promise<void>;
  send(packet: Packet): void;
  onPublish(listener: (packet: IPublishPacket) => void): void;
}

/** Connects over TLS, says CONNECT and resolves with the answer. Rejects when there is none within the deadline. */
export async function mqttLogin(
  { port, ca }: Address,
  { username, password, clientId }: { username: string; password: string; clientId: string },
  timeoutMs = 20_000,
): Promise<MqttLogin> {
  const socket = tls.connect({ host: '127.0.0.1', port, secureContext: contextFor(ca), servername: 'localhost' });
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  const parser = mqtt.parser({ protocolVersion: 4 });
  const listeners: ((packet: IPublishPacket) => void)[] = [];
  const connack = new Promise<number | null>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no CONNACK for ${username} within ${timeoutMs} ms`)), timeoutMs);
    const answered = (code: number | null): void => {
      clearTimeout(timer);
      resolve(code);
    };
    parser.on('packet', (packet) => {
      if (packet.cmd === 'connack') answered(packet.returnCode ?? -1);
      if (packet.cmd === 'publish') for (const listener of listeners) listener(packet);
    });
    socket.once('close', () => answered(null));
  });
  socket.on('data', (data) => parser.parse(data));
  const send = (packet: Packet) => void socket.write(mqtt.generate(packet));
  await Promise.race([once(socket, 'secureConnect').catch(() => {}), closed]);
  send({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clean: true,
    clientId,
    username,
    password: Buffer.from(password),
    keepalive: 60,
  });
  try {
    const code = await connack;
    return { code, socket, closed, send, onPublish: (listener) => listeners.push(listener) };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}
