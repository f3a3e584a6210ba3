import assert from 'node:assert/strict';
import { type EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import { connectAsync, type MqttClient } from 'mqtt';
import type { CredentialGuard } from '../../src/credentials/guard.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import type { Login } from '../../src/web/logins.js';
import { acceptTickets } from '../../src/web/ticket-guard.js';
import { Tickets } from '../../src/web/tickets.js';
import { askAdmin } from '../support/admin.js';
import { eventually, within } from '../support/deadline.js';
import { passwordOf } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';
import { WebUser } from '../support/web-user.js';

const broker = useTestBroker({ seams: { web: true } });

function connect(password: string, clientId: string, username = 'alice'): Promise<MqttClient> {
  return connectAsync(`wss://localhost:${broker.webPort}/mqtt`, {
    ...{ ca: broker.ca, username, password, clientId, reconnectPeriod: 0, protocolVersion: 5 },
  });
}

/** Its types leave out what it is. */
const events = (client: MqttClient) => client as unknown as EventEmitter;

const ticketOf = async (user: WebUser): Promise<string> =>
  (await user.ask('/v1/me/ticket', { method: 'POST', body: {} })).body.ticket;

test('several windows have a ticket each, good once; of too many the oldest is good no more', async () => {
  const user = await WebUser.logIn(broker, 'alice');
  const [first, second] = [await ticketOf(user), await ticketOf(user)];
  const clients = [await connect(first, 'first'), await connect(second, 'second')];
  for (const used of [first, second]) await assert.rejects(connect(used, 'third'));
  await Promise.all(clients.map((client) => client.endAsync()));
  const tickets: string[] = [];
  for (let i = 0; i < 9; i++) tickets.push(await ticketOf(user));
  await assert.rejects(connect(tickets[0]!, 'oldest'));
  for (const [i, ticket] of tickets.slice(1).entries()) await (await connect(ticket, `of-eight-${i}`)).endAsync();
});

test('a ticket that is good no more is no wrong password, and only the user to whom it was given can say so', async () => {
  const user = await WebUser.logIn(broker, 'alice');
  const ticket = await ticketOf(user);
  await (await connect(ticket, 'once')).endAsync();
  await assert.rejects(connect(ticket, 'twice'));
  await assert.rejects(connect(ticket, 'stolen', 'bob'));
  const reasons = async (login: string) => {
    const { text } = await askAdmin(`${broker.folder}/admin.sock`, `/v1/denials?login=${login}`);
    return (JSON.parse(text).denials as { client: string; reason: string }[]).map((it) => `${it.client} ${it.reason}`);
  };
  assert.ok((await reasons('alice')).includes('twice used-ticket'));
  assert.ok((await reasons('bob')).includes('stolen wrong-password'), 'anything else is a guess');
});

test('the guard is asked about what is no ticket, and about nothing that was one', async () => {
  const clock = new ManualClock();
  const tickets = new Tickets(clock);
  const holder = { login: 'alice', tickets: new Map<string, number>() } as unknown as Login;
  const asked: string[] = [];
  const guard = {
    async authenticate({ password }: { password: Buffer }) {
      asked.push(password.toString());
      return { kind: 'refused', reason: 'wrong-password' };
    },
  } as unknown as CredentialGuard;
  const both = acceptTickets(guard, (login, password) => tickets.redeem(login, password, [holder]));
  const reasonOf = async (password: string, login = 'alice') => {
    const outcome = await both.authenticate({ login, password: Buffer.from(password), address: '192.0.2.1' });
    return 'reason' in outcome ? outcome.reason : outcome.kind;
  };
  const late = tickets.issue(holder);
  clock.advance(30_000);
  assert.equal(await reasonOf(late), 'used-ticket');
  assert.equal(await reasonOf(late), 'used-ticket');
  assert.deepEqual(asked, []);
  const forged = `${late.slice(0, -1)}${late.endsWith('A') ? 'B' : 'A'}`;
  const others = [forged, 'ticket-', 'ticket-of-my-own', `${late}x`, new Tickets(clock).issue(holder)];
  for (const password of others) assert.equal(await reasonOf(password), 'wrong-password');
  assert.equal(await reasonOf(late, 'bob'), 'wrong-password');
  assert.deepEqual(asked, [...others, late]);
});

test('what a log-in has opened ends with it, and with a reason; other log-ins and passwords go on', async () => {
  const user = await WebUser.logIn(broker, 'alice');
  const other = await WebUser.logIn(broker, 'alice');
  const mine = await connect(await ticketOf(user), 'of-this-login');
  const others = [
    await connect(await ticketOf(other), 'of-another-login'),
    await connect(passwordOf('alice'), 'with-a-password'),
  ];
  const told = once(events(mine), 'disconnect');
  const closed = once(events(mine), 'close');
  await user.ask('/v1/log-out', { method: 'POST', body: {} });
  const [{ reasonCode, properties }] = await within(5_000, 'DISCONNECT', told);
  assert.equal(reasonCode, 0x87);
  assert.match(properties.reasonString, /logged out/);
  await within(5_000, 'the end', closed);
  const ended = async () => (await other.ask('/v1/me/connections')).body;
  await eventually(5_000, 'the end in the history', async () =>
    (await ended()).ended.some((it: { client: string }) => it.client === 'of-this-login'),
  );
  const { open, ended: all } = await ended();
  const { reason, inWords } = all.find((it: { client: string }) => it.client === 'of-this-login');
  assert.deepEqual([reason, /logged out/.test(inWords)], ['logged-out', true]);
  const names = open.map((it: { client: string }) => it.client);
  assert.deepEqual(names.sort(), ['of-another-login', 'with-a-password']);
  for (const client of others) await client.endAsync();
});

test('a log-in that is over lets nobody in whose ticket it had taken a moment before', async () => {
  const user = await WebUser.logIn(broker, 'bob');
  const first = await connect(await ticketOf(user), 'taken-over', 'bob');
  first.on('error', () => {});
  const ticket = await ticketOf(user);
  // A connection that has to make way holds the next one up, between the ticket and the session.
  const second = connect(ticket, 'taken-over', 'bob').then(
    (client) => client,
    () => null,
  );
  await user.ask('/v1/log-out', { method: 'POST', body: {} });
  const client = await second;
  if (client?.connected) await within(5_000, 'the end', once(events(client), 'close'));
  await eventually(5_000, 'nobody of bob', () => (broker.parts().accounts.known('bob')?.connections.size ?? 0) === 0);
});
