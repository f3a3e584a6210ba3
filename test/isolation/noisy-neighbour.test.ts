import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BrokerProcess } from '../support/broker-process.js';
import { within } from '../support/deadline.js';
import { passwordOf, type Target } from '../support/raw-client.js';
import { tempFolder } from '../support/temp-folder.js';
import type { Noise, QuietReport } from './noise.js';

// While one user does their worst, another one's messages are neither late nor lost, and memory stays bounded. A few
// seconds each here; NOISY_SECONDS=60 for as long as the promise is made for.
const seconds = Number(process.env.NOISY_SECONDS ?? 4);
const lateMs = 50;
/**
 * Where other programs keep the broker waiting for a processor for more than this share of the time, messages are late
 * through no fault of its own, and only a stall can be told from that.
 */
const busyShare = 0.1;
const stallMs = 3_000;
const residentMegabytes = 400;

const worker = fileURLToPath(new URL('./noise.js', import.meta.url));
const start = (kind: string, target: Target, duration: number): ChildProcess =>
  fork(worker, [kind, JSON.stringify({ target, seconds: duration })]);

async function quiet(target: Target, duration: number): Promise<QuietReport> {
  const child = start('quiet', target, duration);
  const report = new Promise<QuietReport>((resolve, reject) => {
    child.once('message', (message) => resolve(message as QuietReport));
    child.once('exit', (code) => reject(new Error(`the quiet user ended with ${code}`)));
  });
  return within((duration + 30) * 1000, 'the report of the quiet user', report);
}

/** How long the broker's main thread could have run and had no processor, since its start. */
async function waitingMs(pid: number): Promise<number> {
  const [, nanoseconds] = (await readFile(`/proc/${pid}/schedstat`, 'utf8')).split(' ');
  return Number(nanoseconds) / 1e6;
}

async function residentMb(pid: number): Promise<number> {
  return Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

const noises: readonly (readonly [Exclude<Noise, 'nothing'>, string])[] = [
  ['stuck', 'has a subscriber that never reads and ten publishers that never rest'],
  ['storm', 'opens connections as fast as possible'],
  ['filters', 'subscribes to 10 000 filters again and again'],
  ['retained', 'publishes 10 000 different retained topics again and again'],
];
for (const [kind, title] of noises) {
  test(`while alice ${title}, bobby's messages are neither late nor lost`, async (t) => {
    const users = { alice: passwordOf('alice'), bobby: passwordOf('bobby') };
    const broker = await BrokerProcess.prepare(await tempFolder(t), users, {});
    const target = { host: '127.0.0.1', ...(await broker.start()) };
    const noise = start(kind, target, seconds);
    const ended = new Promise<never>((_, reject) => {
      noise.once('exit', (code) => reject(new Error(`the noise ended with ${code}: ${broker.complaints.join('')}`)));
    });
    ended.catch(() => {});
    let most = 0;
    const sampling = setInterval(async () => {
      most = Math.max(most, await residentMb(broker.pid).catch(() => 0));
    }, 200);
    try {
      const [waitedMs, at] = [await waitingMs(broker.pid), performance.now()];
      const report = await Promise.race([quiet(target, seconds), ended]);
      const waited = ((await waitingMs(broker.pid)) - waitedMs) / (performance.now() - at);
      const percent = `${Math.round(waited * 100)} %`;
      t.diagnostic(`${kind}: ${JSON.stringify(report)}, ${Math.round(most)} MB, waited for a processor ${percent}`);
      assert.equal(report.received, report.sent, 'nothing is lost');
      assert.ok(report.inOrder, 'everything comes in order');
      const allowedMs = waited < busyShare ? lateMs : stallMs;
      assert.ok(report.p99Ms < allowedMs, `p99 is ${report.p99Ms} ms; the broker waited for a processor ${percent}`);
      assert.ok(most < residentMegabytes, `the broker took ${most} MB`);
    } finally {
      clearInterval(sampling);
      noise.removeAllListeners('exit');
      noise.kill('SIGKILL');
      await broker.kill('SIGTERM');
    }
  });
}
