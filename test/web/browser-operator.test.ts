// Runs alone: a browser needs a processor, and what it waits for has deadlines.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { useTestBroker } from '../support/test-broker.js';

// The operator's page: whom it finds, and for whom it is.
const web = { operators: ['teacher'] };
const broker = useTestBroker({ seams: { web: true }, users: ['alice', 'teacher'], config: { web } });
const browser = useBrowser();

test('who is no operator any more is told so, and shown and asked nothing more', async () => {
  await using open = await browser.open(broker, '/operator', 'teacher');
  await open.says('#health', 'ok');
  await broker.reload({ web: { operators: [] } });
  await open.page.waitForSelector('#demoted:not([hidden])');
  await open.says('#no-operator', 'You are not among the operators');
  assert.equal(await open.page.isVisible('#content'), false);
  await open.page.reload();
  await open.page.waitForSelector('#no-operator:not([hidden])');
  assert.equal(await open.page.isVisible('#demoted'), false);
  await broker.reload({ web });
});
