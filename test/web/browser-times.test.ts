// Runs alone: it measures how long pages take.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

// How long people wait for the pages, in a real browser. What they do with them is in the files beside this one.
const broker = useTestBroker({ seams: { web: true } });
const browser = useBrowser();

/** Milliseconds from the first request to the last byte, and bytes over the wire: of a browser that has nothing yet. */
async function firstView(): Promise<[loadedMs: number, bytes: number]> {
  await using open = await browser.open(broker, '/me');
  await open.waitFor(() => globalThis.document.activeElement.id === 'login');
  return (await open.page.evaluate(`(() => {
    const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
    return [Math.max(...all.map((it) => it.responseEnd)), all.reduce((sum, it) => sum + it.transferSize, 0)];
  })()`)) as [number, number];
}

test('the first view takes less than a second and 100 KB', async () => {
  // The very first one has the browser start up, and others may be at work: the fastest counts.
  const views = [await firstView(), await firstView(), await firstView()];
  const loadedMs = Math.min(...views.map(([ms]) => ms));
  assert.ok(loadedMs < 1_000, `${loadedMs} ms`);
  for (const [, bytes] of views) assert.ok(bytes > 10_000 && bytes < 100_000, `${bytes} bytes`);
});

test('a denial is shown within a second, that of the live view at QoS 0 too', async () => {
  await using open = await browser.open(broker, '/me', 'alice');
  await using client = await RawClient.connect(broker, { clientId: 'sensor' });
  await open.says('#clients', 'sensor');
  client.send(mqtt.publish('iotlab/bob/secret', 'hello'));
  assert.ok((await open.says('#denials', 'iotlab/bob/secret')) < 1_000);
  await open.page.selectOption('#live-qos', '0');
  await open.page.fill('#live-topic', 'iotlab/bob/other');
  await open.page.click('#live-form button');
  await open.says('#live-answer', 'Sent. At QoS 0 nobody acknowledges it');
  assert.ok((await open.says('#live-answer', 'Refused: ')) < 1_000);
});
