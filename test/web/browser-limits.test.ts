// Long, own process: a walk through pages in a browser; browser.test.ts is the short one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type OpenPage, useBrowser } from '../support/browser.js';
import { eventually } from '../support/deadline.js';
import * as mqtt from '../support/packets.js';
import { RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';
import { WebUser } from '../support/web-user.js';

// Limits that an operator decides on, on both pages.
const broker = useTestBroker({
  seams: { web: true },
  users: ['alice', 'bob', 'carol'],
  config: { web: { operators: ['carol'] } },
});
const browser = useBrowser();

const decided = (login: string) => broker.parts().limitRules.overrideOf(login)?.limits;

async function openUser({ page }: OpenPage, login: string) {
  await page.fill('#users-find', login);
  await page.click(`button[aria-label="Open ${login}"]`);
  await page.waitForSelector('#limit-name option', { state: 'attached' });
}

async function setLimit({ page }: OpenPage, name: string, value: string) {
  await page.selectOption('#limit-name', name);
  await page.fill('#limit-value', value);
  await page.click('#limit-form button[type=submit]');
}

test('a second limit stands beside the first, and what is left out is said to be replaced', async () => {
  await using _client = await RawClient.connect(broker, { as: 'alice' });
  await using operator = await browser.open(broker, '/operator', 'carol');
  const { page } = operator;
  await openUser(operator, 'alice');
  await page.fill('#limit-reason', 'runaway loop');
  await setLimit(operator, 'messagesInPerSecond', '5');
  await operator.says('#limit-override', 'Messages in, per second 5. Why: runaway loop.');
  await operator.says('#limit-kept', 'Messages in, per second');
  assert.equal(await page.inputValue('#limit-reason'), 'runaway loop');
  await setLimit(operator, 'connectionsPerUser', '50');
  await operator.says('#limit-override', 'Connections 50');
  assert.deepEqual(decided('alice'), { messagesInPerSecond: 5, connectionsPerUser: 50 });
  await operator.says('#limit-replaced', 'takes the place of what was decided before. Others than usual until');
  await page.click('button[aria-label="Leave out Messages in, per second"]');
  await page.fill('#limit-minutes', '');
  await page.click('#limit-form button[type=submit]');
  await operator.says('#limit-override', 'until taken back: Connections 50.');
  await operator.says('#limit-replaced', 'Messages in, per second 5, Connections 50. Why: runaway loop.');
  assert.deepEqual(decided('alice'), { connectionsPerUser: 50 });
  assert.deepEqual(operator.complaints, []);
});

test('a message of the live view that waits for the rate says so, and is acknowledged or not in the end', async () => {
  await using open = await browser.open(broker, '/me', 'carol');
  await open.page.click('#live-toggle');
  await open.says('#live-state', 'Receiving');
  const decision = { limits: { messagesInPerSecond: 1, burstMs: 1_000 }, since: 0, until: null, reason: '' };
  broker.parts().accounts.setOverride('carol', decision);
  await using client = await RawClient.connect(broker, { as: 'carol' });
  for (let i = 0; i < 20; i++) client.send(mqtt.publish('iotlab/carol/x', 'x'));
  await open.page.click('#live-form button[type=submit]');
  await open.says('#live-answer', 'Not acknowledged yet: your rate, 1 messages a second, is used up.');
  broker.parts().accounts.setOverride('carol', null);
  await open.says('#live-answer', 'Acknowledged.');
});

test('whoever is slowed sees the rate, its end and its reason, and what waits; and so does the operator', async () => {
  const until = Date.now() + 3_600_000;
  const decision = { limits: { messagesInPerSecond: 1, burstMs: 1_000 }, since: until - 1, until, reason: 'a loop' };
  broker.parts().accounts.setOverride('bob', decision);
  await using client = await RawClient.connect(broker, { as: 'bob', clientId: 'looping' });
  for (let i = 0; i < 200; i++) client.send(mqtt.publish('iotlab/bob/x', 'x'));
  const user = await WebUser.logIn(broker, 'bob');
  await eventually(5_000, 'bob to be slowed', async () => {
    const { body } = await user.ask('/v1/me');
    const [incoming] = body.rates;
    assert.equal(incoming.messagesPerSecond, 1);
    assert.deepEqual(body.decided[0].limits, decision.limits);
    return incoming.slowed && incoming.waiting === 1;
  });
  await using student = await browser.open(broker, '/me', 'bob');
  await student.says('#slowed', 'they send more than your rate allows');
  await student.says('#decided', 'An operator decided for you, until ');
  await student.says('#decided', 'Messages in, per second 1');
  await student.says('#decided', 'Why: a loop.');
  await student.says('#limits', 'They wait now (connections: 1).');
  await using operator = await browser.open(broker, '/operator', 'carol');
  await openUser(operator, 'bob');
  await operator.says('#user-limits', 'Messages in, per second');
  await operator.says('#user-limits', 'They wait now');
});
