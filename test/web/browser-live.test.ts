// Long, own process: a walk through pages in a browser; browser.test.ts is the short one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileAcl } from '../../src/acl/acl.js';
import { type OpenPage, useBrowser } from '../support/browser.js';
import { eventually } from '../support/deadline.js';
import { RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

// The live view of a user's page: a client in a browser, in several windows, refused and ended.
const broker = useTestBroker({ seams: { web: true } });
const browser = useBrowser();

test('two windows, and a double click, do not disturb each other; another filter counts at once', async () => {
  await using one = await browser.open(broker, '/me', 'alice');
  const other = await one.another('/me');
  await one.page.dblclick('#live-toggle');
  await other.page.click('#live-toggle');
  for (const open of [one, other]) await open.says('#live-state', 'Receiving iotlab/alice/#.');
  await using client = await RawClient.connect(broker);
  await client.publish('iotlab/alice/both', 'for both windows', { qos: 1 });
  for (const open of [one, other]) await open.says('#live-list', 'for both windows');
  const pages = [...broker.parts().connections].filter((it) => it.client?.clientId.startsWith('page-'));
  assert.equal(pages.length, 2, 'one client a window');
  await one.page.fill('#live-filter', 'iotlab/alice/only');
  await one.page.press('#live-filter', 'Enter');
  await one.says('#live-state', 'Receiving iotlab/alice/only.');
  await client.publish('iotlab/alice/elsewhere', 'not for the first one', { qos: 1 });
  await client.publish('iotlab/alice/only', 'for both again', { qos: 1 });
  for (const open of [one, other]) await open.says('#live-list', 'for both again');
  await other.says('#live-list', 'not for the first one');
  assert.doesNotMatch((await one.page.textContent('#live-list')) ?? '', /not for the first one/);
  for (const [wrong, words] of [
    ['iotlab/alice/#/x', 'stand alone in their level'],
    ['iotlab/bob/#', 'outside of what alice may use'],
  ]) {
    await one.page.fill('#live-filter', wrong!);
    await one.page.press('#live-filter', 'Tab');
    await one.says('#live-state', words!);
    await one.says('#live-state', 'Receiving iotlab/alice/only.');
  }
  for (const { complaints } of [one, other]) assert.deepEqual(complaints, []);
});

test('a message of QoS 0 that the rules deny is shown as denied', async () => {
  await using open = await browser.open(broker, '/me', 'alice');
  await open.page.selectOption('#live-qos', '0');
  await open.page.fill('#live-topic', 'iotlab/bob/secret');
  await open.page.click('#live-form button');
  await open.says('#live-answer', 'Refused: ');
  await open.says('#live-answer', 'outside of what alice may use');
  await open.page.fill('#live-topic', 'iotlab/alice/fine');
  await open.page.click('#live-form button');
  await open.says('#live-answer', 'Sent.');
});

test('why the live view could not connect, or was ended, is said in words', async () => {
  await using open = await browser.open(broker, '/me', 'alice');
  const { page } = open;
  await page.route('**/v1/me/ticket', (route) => route.fulfill({ json: { ticket: 'wrong' } }));
  await page.click('#live-toggle');
  await open.says('#live-state', 'Not connected: the broker did not let this page in');
  await page.unroute('**/v1/me/ticket');
  await page.click('#live-toggle');
  await open.says('#live-state', 'Receiving');
  broker.parts().accounts.known('alice')!.connections.values().next().value!.close('kicked');
  await open.says('#live-state', 'The connection was ended: an operator ended it.');
  assert.equal(await page.textContent('#live-toggle'), 'Start');
});

const own = { access: 'readwrite', topic: 'iotlab/%u/#' } as const;
const all = { access: 'read', topic: 'iotlab/+/#', users: ['alice'] } as const;

async function receivesAll(open: OpenPage) {
  const { page } = open;
  await page.fill('#live-filter', 'iotlab/+/#');
  await page.click('#live-toggle');
  await open.says('#live-state', 'Receiving iotlab/+/#.');
}

test('a subscription that other rules end is told of in the live view, and among what went wrong', async () => {
  const { ruleChanges } = broker.parts();
  await ruleChanges.use(compileAcl([own, all], []));
  await using open = await browser.open(broker, '/me');
  const listens = open.page.waitForResponse((response) => response.url().endsWith('/v1/me/events'));
  await open.logIn('alice');
  await receivesAll(open);
  // Before, the page would not hear it.
  await listens;
  await ruleChanges.use(compileAcl([own], []));
  await open.says('#live-state', 'No longer receiving iotlab/+/#: the subscription ended, for the access rules');
  await open.says('#denials', 'the subscription ended, for the access rules have changed');
  await open.page.fill('#live-filter', 'iotlab/alice/#');
  await open.page.press('#live-filter', 'Tab');
  await open.says('#live-state', 'Receiving iotlab/alice/#.');
});

test('a page that was told nothing meanwhile says that its subscription has ended once it is looked at', async () => {
  const { ruleChanges } = broker.parts();
  await ruleChanges.use(compileAcl([own, all], []));
  await using open = await browser.open(broker, '/me');
  await open.page.route('**/v1/me/events', (route) => route.abort());
  await open.logIn('alice');
  await receivesAll(open);
  await ruleChanges.use(compileAcl([own], []));
  await open.page.evaluate(`document.dispatchEvent(new Event('visibilitychange'))`);
  await open.says('#live-state', 'No longer receiving iotlab/+/#: see “What went wrong”.');
});

test('whoever ends a client of his own on the page is told so', async () => {
  await using open = await browser.open(broker, '/me', 'bob');
  await using client = await RawClient.connect(broker, { as: 'bob', clientId: 'mine' });
  await open.page.click('button[aria-label="End mine"]');
  await client.closed();
  await open.says('#ended', 'you ended it, on your page');
});

test('whoever logs out is not told to have been logged out', async () => {
  await using open = await browser.open(broker, '/me', 'bob');
  const { page } = open;
  await page.route('**/v1/log-out', async (route) => {
    const streamEnds = page.waitForEvent('requestfinished', (request) => request.url().endsWith('/v1/me/events'));
    const response = await route.fetch();
    await streamEnds;
    // What the page asks for that is answered before this.
    await page.evaluate(`fetch('/v1/session').then((it) => it.text())`).catch(() => {});
    await route.fulfill({ response }).catch(() => {});
  });
  await page.click('#log-out');
  await page.waitForSelector('#log-in:not([hidden])');
  assert.equal(await page.textContent('#log-in-failure'), '');
});

test('whoever logs out takes the live views of all windows along', async () => {
  await using open = await browser.open(broker, '/me', 'bob');
  const other = await open.another('/me');
  await other.page.click('#live-toggle');
  await other.says('#live-state', 'Receiving');
  await open.page.click('#log-out');
  await open.page.waitForSelector('#log-in:not([hidden])');
  await eventually(
    5_000,
    'no client of bob',
    () => ![...broker.parts().connections].some((it) => it.client?.login === 'bob'),
  );
  await other.page.waitForSelector('#log-in:not([hidden])');
});

test('the pages are there over IPv6, with the live view', async () => {
  await using open = await browser.open(broker, '/me', 'alice', '[::1]');
  await open.page.click('#live-toggle');
  await open.says('#live-state', 'Receiving');
  await open.says('#line-receive', '-h ::1 ');
  assert.deepEqual(open.complaints, []);
});
