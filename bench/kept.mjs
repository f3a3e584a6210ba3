// What a broker finds when it starts: an export file of many sessions with messages that wait for them.
import { writeFileSync } from 'node:fs';

/** `sessions` of the users in turn, each with a subscription and `each` messages of 100 bytes. */
export function writeKept(file, users, sessions, each) {
  const now = Date.now();
  const payload = Buffer.alloc(100, 'x').toString('base64');
  const common = { kind: 'message', packetId: 0, qos: 1, payload, properties: null, retain: false, released: false };
  const lines = [{ kind: 'iotlab-broker-store', version: 1 }];
  for (let number = 0; number < sessions; number += 1) {
    const { login } = users[number % users.length];
    const clientId = `${login}/device-${number}`;
    const topic = `iotlab/${login}/node/${number}`;
    lines.push({
      ...{ kind: 'session', clientId, login, protocol: 4, createdAt: now, lastSeenAt: now, expiresAt: null },
      ...{ subscriptions: [{ filter: `${topic}/#`, qos: 1, options: 0, identifier: null }], incoming: [] },
    });
    for (let seq = 1; seq <= each; seq += 1) lines.push({ ...common, clientId, seq, topic: `${topic}/out` });
  }
  writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
}
