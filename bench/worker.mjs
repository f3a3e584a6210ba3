// A child process that puts load on a broker, so that measuring costs the broker nothing but the cores they share.
// Argument: a JSON object with `work`, the target and the work's own options. Answers over IPC, with the result or
// `{ ready: true }` when it is to stay until it is told to go.
import tls from 'node:tls';
import { connections } from './connections.mjs';
import { crowd, probe } from './crowd.mjs';
import { load } from './load.mjs';
import { keepRetained, keepSubscriptions, subscribing } from './others.mjs';
import { pages } from './pages.mjs';

const { work, target, ...options } = JSON.parse(process.argv[2]);
const connected = { ...target, secureContext: tls.createSecureContext({ ca: target.ca }) };
const measures = { load, connections, subscribing };
const keepers = { keepSubscriptions, keepRetained, crowd, probe, pages };

process.on('disconnect', () => process.exit(0));
try {
  if (work in measures) {
    process.send({ result: await measures[work](connected, options) }, () => process.exit(0));
  } else {
    await keepers[work](connected, options);
    process.send({ ready: true });
  }
} catch (error) {
  process.send({ error: `${work}: ${error.message}` }, () => process.exit(1));
}
