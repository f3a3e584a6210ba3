// Long, own process: a walk through pages in a browser; browser.test.ts is the short one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { useBrowser } from '../support/browser.js';
import { useTestBroker } from '../support/test-broker.js';

// The operator's page: whom it finds, and for whom it is.
const web = { operators: ['teacher'] };
const broker = useTestBroker({ seams: { web: true }, users: ['alice', 'teacher', 'never'], config: { web } });
const browser = useBrowser();

test('who never connected is found, and can be limited, kept out and removed, which closes what was open', async () => {
  await using open = await browser.open(broker, '/operator', 'teacher');
  const { page } = open;
  await page.fill('#users-find', 'nev');
  await open.says('#users', 'never here, or nothing is kept');
  await page.click('button[aria-label="Open never"]');
  await open.says('#user-facts', 'In all 0 messages received');
  await page.fill('#limit-value', '3');
  await page.click('#limit-form button[type=submit]');
  await open.says('#limit-override', 'Connections 3');
  await page.click('#ban-form button.danger');
  await page.waitForSelector('#ban-lift:not([hidden])');
  await page.click('#user-remove');
  await open.says('#news', 'never is removed');
  await page.waitForSelector('#user', { state: 'hidden' });
  await open.says('#users-count', '0 of ');
  await page.waitForSelector('button[aria-label="Open never"]', { state: 'detached' });
  assert.deepEqual(open.complaints, []);
});

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
