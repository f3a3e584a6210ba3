// Own process: a browser of its own, early, since it takes long.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { packageFolder } from '../../src/config/package-folder.js';
import { useBrowser } from '../support/browser.js';
import { eventually } from '../support/deadline.js';
import * as mqtt from '../support/packets.js';
import { passwordOf, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';

// What people do with the pages, in a real browser.
const many = Array.from({ length: 500 }, (_, i) => `user${String(i).padStart(3, '0')}`);
const users = ['alice', 'bob', 'carol', 'teacher', ...many];
const broker = useTestBroker({ seams: { web: true }, relay: true, users, config: { web: { operators: ['teacher'] } } });
const browser = useBrowser();
const hostile = `<img src=x onerror="alert('x')"><script>alert(1)</script>`;

const library = (path: string) => readFile(join(packageFolder(), 'node_modules', path), 'utf8');

/** What axe finds, in light and in dark. */
async function barriers(page: Page): Promise<string[]> {
  const axe = await library('axe-core/axe.min.js');
  const found: string[] = [];
  // Not by a script element: the policy would not let it run.
  await page.evaluate(axe);
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme });
    const { violations } = (await page.evaluate('axe.run()')) as {
      violations: { id: string; nodes: { html: string }[] }[];
    };
    for (const { id, nodes } of violations)
      found.push(`${colorScheme} ${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  }
  return found;
}

test('a student sees a denial, and sends and receives in the live view, deletes what is retained', async () => {
  await using open = await browser.open(broker, '/me', 'alice');
  const { page } = open;
  await using client = await RawClient.connect(broker, { clientId: 'sensor' });
  await client.subscribe(['iotlab/alice/x', 0]);
  await open.says('#clients', 'sensor');
  client.send(mqtt.publish('iotlab/bob/secret', 'hello'));
  await open.says('#denials', 'iotlab/bob/secret');
  await open.says('#denials', 'outside of what alice may use');
  await page.click('#live-toggle');
  await open.says('#live-state', 'Receiving iotlab/');
  await page.fill('#live-topic', 'iotlab/alice/greeting');
  await page.fill('#live-payload', 'hello from the page');
  await page.press('#live-payload', 'Tab');
  await page.click('#live-form button');
  await open.says('#live-list', 'hello from the page');
  await open.says('#live-answer', 'Acknowledged.');
  await open.says('#traffic', 'iotlab/alice/greeting');
  await page.fill('#live-topic', 'iotlab/bob/greeting');
  await page.click('#live-form button');
  await open.says('#live-answer', 'Refused: ');
  // What the broker would end the connection for is not even sent.
  await page.fill('#live-topic', 'iotlab/alice/+');
  await page.click('#live-form button');
  await open.says('#live-answer', 'a topic to send to has neither + nor #');
  await open.says('#live-state', 'Receiving iotlab/');
  await client.publish('iotlab/alice/kept', 'x', { retain: true, qos: 1 });
  await page.click('#retained-show');
  await open.says('#retained', 'iotlab/alice/kept');
  await page.click('#retained button');
  await open.says('#retained-more', 'You have none.');
  assert.deepEqual(await barriers(page), []);
  assert.deepEqual(open.complaints, []);
});

test('a user whom an operator keeps out is told so at the log-in, until when and why', async () => {
  await using operator = await browser.open(broker, '/operator', 'teacher');
  await using client = await RawClient.connect(broker, { as: 'carol', clientId: 'looping' });
  await operator.page.fill('#users-find', 'carol');
  await operator.page.click('button[aria-label="Open carol"]');
  await operator.says('#user-clients', 'looping');
  await operator.page.fill('#ban-reason', 'a loop in your sketch');
  await operator.page.click('#ban-form button.danger');
  await client.closed();
  await operator.says('#user-clients', 'No client of this user is connected.');
  await using student = await browser.open(broker, '/me');
  const tryWith = async (password: string) => {
    await student.page.fill('#login', 'carol');
    await student.page.fill('#password', password);
    await student.page.keyboard.press('Enter');
  };
  await tryWith('a guess');
  await student.says('#log-in-failure', 'Login or password is wrong');
  await tryWith(passwordOf('carol'));
  await student.says('#log-in-failure', 'an operator keeps you out until');
  await student.says('#log-in-failure', 'Why: a loop in your sketch.');
  assert.deepEqual(await barriers(student.page), []);
  await operator.page.click('#ban-lift');
  await operator.page.waitForSelector('#ban-lift', { state: 'hidden' });
  await tryWith(passwordOf('carol'));
  await student.page.waitForSelector('#content:not([hidden])');
});

test('no word of a table is broken where it could stand whole, on a phone too', async () => {
  await using client = await RawClient.connect(broker, { clientId: 'a-client-with-a-long-name' });
  client.send(mqtt.publish(`iotlab/bob/${'a/rather/long/topic/'.repeat(6)}`, ''));
  await using open = await browser.open(broker, '/me', 'alice');
  await open.says('#denials', 'publish');
  for (const width of [1_200, 600, 360]) {
    await open.page.setViewportSize({ width, height: 740 });
    const lines = await open.page.evaluate(`(() => {
      const cells = [...document.querySelectorAll('#denials td')].filter((it) => it.textContent === 'publish');
      return cells.map((it) => { const range = document.createRange(); range.selectNodeContents(it); return range.getClientRects().length; });
    })()`);
    assert.ok(
      (lines as number[]).length > 0 && (lines as number[]).every((count) => count === 1),
      `${width}: ${lines}`,
    );
    assert.equal(await open.page.evaluate('document.documentElement.scrollWidth'), width, 'nothing sticks out');
  }
});

test('each client that failed to log in is a row, however it is told of', async () => {
  const fail = (clientId: string) => RawClient.attempt(broker, { as: 'bob', password: 'wrong', clientId });
  await fail('first');
  await fail('second');
  await using open = await browser.open(broker, '/me', 'bob');
  const rows = () => open.page.locator('#failures tbody tr').count();
  await eventually(5_000, 'two rows', async () => (await rows()) === 2);
  await fail('third');
  await eventually(5_000, 'a third one', async () => (await rows()) === 3);
  await fail('third');
  await eventually(
    5_000,
    'the third to be counted twice',
    async () => (await open.page.locator('#failures tbody tr:first-child td:last-child').textContent()) === '2',
  );
  assert.equal(await rows(), 3);
});

test('names that clients choose are shown as they are, and never run', async () => {
  await using student = await browser.open(broker, '/me', 'carol');
  await using operator = await browser.open(broker, '/operator', 'teacher');
  await using client = await RawClient.connect(broker, { as: 'carol', clientId: hostile });
  const topic = `iotlab/carol/${hostile}`;
  await client.subscribe([topic, 0]);
  await student.page.click('#live-toggle');
  await student.says('#live-state', 'Receiving iotlab/');
  await client.publish(topic, hostile, { retain: true, qos: 1 });
  client.send(mqtt.publish(`iotlab/dave/${hostile}`, hostile));
  for (const place of ['#live-list', '#denials', '#clients', '#traffic']) await student.says(place, hostile);
  await student.page.click('#retained-show');
  await student.says('#retained', hostile);
  await operator.page.fill('#users-find', 'carol');
  await operator.page.click('button[aria-label="Open carol"]');
  for (const place of ['#user-clients', '#user-denials']) await operator.says(place, hostile);
  await operator.page.check('#trace-payload');
  const traced = operator.page.waitForResponse((response) => response.url().endsWith('/v1/traces'));
  await operator.page.click('#trace-toggle');
  await traced;
  client.send(mqtt.publish(topic, hostile));
  await operator.says('#trace-list', hostile);
  for (const { page, complaints } of [student, operator]) {
    assert.equal(await page.locator('img, script:not([src])').count(), 0);
    assert.deepEqual(complaints, []);
  }
});

test('when an operator ends a connection, its user is told why', async () => {
  await using student = await browser.open(broker, '/me', 'bob');
  await using operator = await browser.open(broker, '/operator', 'teacher');
  await using client = await RawClient.connect(broker, { as: 'bob', clientId: 'kicked-one' });
  await operator.page.fill('#users-find', 'bob');
  await operator.page.click('button[aria-label="Open bob"]');
  await operator.says('#user-clients', 'kicked-one');
  await operator.page.fill('#limit-value', '77');
  await operator.page.click('#limit-form button');
  await operator.says('#limit-override', 'Connections 77');
  await operator.page.click('#limit-restore');
  await operator.page.waitForSelector('#limit-restore', { state: 'hidden' });
  await operator.page.click('#user-clients tbody button');
  await client.closed();
  await student.says('#news', 'kicked-one: an operator ended it');
  await student.says('#ended', 'an operator ended it');
});

test('an operator finds one of 500 users, adds a class, and removes one of it with all data', async () => {
  const clients = await Promise.all(many.map((as) => RawClient.connect(broker.relayed, { as })));
  await using open = await browser.open(broker, '/operator', 'teacher');
  const { page } = open;
  await open.waitFor(() => globalThis.document.querySelectorAll('#users tbody tr').length >= 500);
  await page.fill('#users-find', 'user321');
  await open.waitFor(() => globalThis.document.querySelectorAll('#users tbody tr').length === 1);
  await page.fill('#class-logins', 'course01\ncourse02');
  await page.click('#class-form button');
  await open.says('#class-answer', '2 added');
  await using added = await RawClient.connect(broker, { as: 'course01', ...(await passwordShown(page, 'course01')) });
  await page.fill('#users-find', 'course01');
  await page.click('button[aria-label="Open course01"]');
  await open.waitFor(() => globalThis.document.activeElement.id === 'user-title');
  assert.deepEqual(await barriers(page), []);
  await page.setViewportSize({ width: 360, height: 740 });
  assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 360, 'nothing sticks out on a phone');
  await page.click('#user-remove');
  await open.says('#news', 'course01 is removed');
  await added.closed();
  assert.doesNotMatch(await readFile(broker.usersFile, 'utf8'), /course01/);
  for (const client of clients) client.cut();
});

async function passwordShown(page: Page, login: string): Promise<{ password: string }> {
  const cells = await page.locator('#class-made tbody tr', { hasText: login }).locator('td').allTextContents();
  return { password: cells[1] ?? '' };
}

test('a user who is removed is out at once; whoever is no operator is told so', async () => {
  await using other = await browser.open(broker, '/operator');
  await other.page.fill('#login', 'carol');
  await other.page.fill('#password', passwordOf('carol'));
  await other.page.keyboard.press('Enter');
  await other.page.waitForSelector('#no-operator:not([hidden])');
  await using open = await browser.open(broker, '/me', 'carol');
  const text = await readFile(broker.usersFile, 'utf8');
  await writeFile(broker.usersFile, text.replace(/^carol:.*\n/m, ''), { mode: 0o600 });
  await open.page.waitForSelector('#log-in:not([hidden])');
  await open.page.waitForSelector('#content', { state: 'hidden' });
  await open.says('#log-in-failure', 'You were logged out');
});

test('the status says that the broker is up, and mqtt.js does there what the documentation shows', async () => {
  await using open = await browser.open(broker, '/status');
  await open.says('#summary', 'The broker is up.');
  assert.deepEqual(await barriers(open.page), []);
  await open.page.evaluate(`{ ${await library('mqtt/dist/mqtt.min.js')}; globalThis.mqtt = mqtt; }`);
  const walk = async (settings: object) => {
    // biome-ignore lint/suspicious/noExplicitAny: what is in the browser
    const { mqtt: library, location } = globalThis as any;
    const client = await library.connectAsync(`wss://${location.host}/mqtt`, settings);
    const topic = 'iotlab/alice/browser';
    await client.subscribeAsync(topic, { qos: 2 });
    const heard: string[] = [];
    const all = new Promise<void>((resolve) => {
      client.on('message', (_: string, payload: unknown) => {
        heard.push(String(payload));
        if (heard.length === 3) resolve();
      });
    });
    for (const qos of [0, 1, 2]) await client.publishAsync(topic, `hello ${qos}`, { qos });
    await all;
    await client.endAsync();
    return heard;
  };
  for (const version of [3, 4, 5]) {
    const heard = await open.page.evaluate(walk, {
      ...{ username: 'alice', password: passwordOf('alice'), reconnectPeriod: 0 },
      ...{ protocolVersion: version, protocolId: version === 3 ? 'MQIsdp' : 'MQTT' },
    });
    assert.deepEqual(heard, ['hello 0', 'hello 1', 'hello 2']);
  }
});
