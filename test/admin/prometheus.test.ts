// A real Prometheus scrapes a loaded broker with the configuration that is recommended: each query of the board has data,
// and each alarm can be evaluated and is quiet.
import assert from 'node:assert/strict';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { packageFolder } from '../../src/config/package-folder.js';
import { eventually } from '../support/deadline.js';
import { freePort } from '../support/ports.js';
import { checkMetrics, type Prometheus, promtool, startPrometheus } from '../support/prometheus.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { startTestBroker, type TestBroker } from '../support/test-broker.js';

const production = join(packageFolder(), 'config', 'production');

interface Board {
  readonly panels: readonly {
    readonly title: string;
    readonly type: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
  }[];
}

/** As the board asks with everything chosen, and a short interval. */
const asked = (expr: string) =>
  expr.replaceAll('$__rate_interval', '10s').replaceAll('$instance', '.*').replaceAll('$job', '.*');

/** Some of everything that is counted, again and again until the test is over. */
async function load(broker: TestBroker, signal: AbortSignal): Promise<void> {
  const away = await RawClient.connect(broker, { as: 'bob', clean: false, clientId: freshId('away') });
  await away.subscribe(['iotlab/bob/#', 1]);
  await away.disconnect();
  while (!signal.aborted) {
    const reader = await RawClient.connect(broker);
    await reader.subscribe(['iotlab/alice/#', 2]);
    const writer = await RawClient.connect(broker);
    for (const qos of [0, 1, 2] as const) {
      await writer.publish('iotlab/alice/x', 'some text', { qos, retain: qos === 1 });
      await reader.receive();
    }
    await writer.publish('iotlab/bob/not-mine', 'x', { qos: 1 });
    const bob = await RawClient.connect(broker, { as: 'bob' });
    for (let n = 0; n < 3; n++) await bob.publish('iotlab/bob/x', 'x', { qos: 1 });
    (await RawClient.attempt(broker, { password: 'wrong' })).client.cut();
    for (const client of [reader, writer, bob]) await client.disconnect();
    await delay(100);
  }
}

/** The recommended configuration, with this broker in it and faster. */
async function prometheusOf(t: TestContext, broker: TestBroker, port: number): Promise<Prometheus> {
  const text = await readFile(join(production, 'prometheus.yml'), 'utf8');
  const faster = text
    .replaceAll('127.0.0.1:9883', `127.0.0.1:${port}`)
    .replaceAll(/_interval: \d+s/g, '_interval: 1s')
    .replaceAll('iotlab-broker.token', join(broker.folder, 'admin.token'));
  assert.notEqual(faster, text);
  const file = join(broker.folder, 'prometheus.yml');
  await writeFile(file, faster);
  await copyFile(join(production, 'alarms.yml'), join(broker.folder, 'alarms.yml'));
  await promtool('check', 'config', file);
  return startPrometheus(t, broker.folder, file);
}

test('every query of the board has data, and every alarm can be evaluated and is quiet', async (t) => {
  const port = await freePort();
  const limits = { queuedMessages: 5 };
  const broker = await startTestBroker({ store: 'folder', config: { limits, admin: { port } } });
  const stop = new AbortController();
  const loading = load(broker, stop.signal);
  t.after(async () => {
    stop.abort();
    await loading;
    await broker.stop();
  });
  const prometheus = await prometheusOf(t, broker, port);
  const { panels } = JSON.parse(await readFile(join(production, 'grafana.json'), 'utf8')) as Board;
  const expressions = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })));
  assert.ok(expressions.length > 40);
  const hasData = async ({ expr }: { expr: string }) => {
    const samples = await prometheus.query(asked(expr));
    return samples.some(({ value }) => !Number.isNaN(value));
  };
  // No further than to the first that has none: asking all of them again and again costs more than all else here.
  await eventually(60_000, 'data for every query', async () => {
    for (const expression of expressions) if (!(await hasData(expression))) return false;
    return true;
  }).catch(async (error: Error) => {
    const without: string[] = [];
    for (const it of expressions) if (!(await hasData(it))) without.push(`${it.title}: ${it.expr}`);
    assert.fail(`${error.message}:\n${without.join('\n')}`);
  });
  assert.equal(await checkMetrics(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()), '');
  // What one sees there is what happened.
  const of = async (expression: string) => (await prometheus.query(expression))[0]?.value ?? 0;
  assert.ok((await of('sum(rate(iotlab_broker_publishes_received_total[10s]))')) > 1);
  assert.ok((await of('sum(rate(iotlab_broker_messages_dropped_total{reason="queue-full"}[10s]))')) > 0);
  const users = await prometheus.query('iotlab_broker_user_retained_messages');
  assert.deepEqual(users.map(({ metric }) => metric.login).sort(), ['_other', 'alice', 'bob']);
  await eventually(20_000, 'the alarms', async () =>
    (await prometheus.rules()).every(({ health }) => health !== 'unknown'),
  );
  const rules = await prometheus.rules();
  assert.deepEqual(
    rules.filter(({ health, state }) => health !== 'ok' || state === 'firing'),
    [],
  );
});

test('panels of the board have names of their own, and do not lie on one another', async () => {
  const { panels } = JSON.parse(await readFile(join(production, 'grafana.json'), 'utf8')) as Board;
  const titles = panels.map(({ title }) => title);
  assert.equal(new Set(titles).size, titles.length);
  const taken = new Set<string>();
  for (const { title, gridPos } of panels) {
    assert.ok(gridPos.x + gridPos.w <= 24, title);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.ok(!taken.has(`${x} ${y}`), `${title} lies on another panel`);
        taken.add(`${x} ${y}`);
      }
    }
  }
});
