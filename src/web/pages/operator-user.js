import { ask, reasonOf } from './ask.js';
import { button, byId, numberOf, say, Table, tell, timeOf } from './dom.js';
import { LimitForm } from './limit-form.js';
import { decisionInWords, limitBars, rateBars } from './limits.js';
import { texts } from './texts.js';
import { traceView } from './trace.js';

const words = texts.operator;
const own = texts.me;

const client = { heading: words.client, mono: true, cell: (it) => it.client };

/** What is shown of one user, and what can be done about it. `changed` is called when something was. */
export function userView(changed) {
  let login = null;
  const path = (rest = '') => `/users/${encodeURIComponent(login)}${rest}`;
  const trace = traceView(() => login);
  const limitForm = new LimitForm((body) => act(() => ask(path('/limits'), { method: 'PUT', body })));

  const clients = new Table(byId('user-clients'), {
    caption: words.clients,
    empty: words.noClients,
    keyOf: ({ n }) => n,
    columns: [
      client,
      { heading: own.protocol, short: true, cell: ({ protocol }) => `MQTT ${protocol}` },
      { heading: own.from, short: true, cell: ({ address }) => address },
      { heading: own.since, short: true, cell: ({ since }) => timeOf(since) },
      { heading: own.lastPacket, short: true, cell: ({ silentSeconds: n }) => say(own.secondsAgo, { n }) },
      { heading: own.waiting, number: true, cell: ({ queuedMessages }) => numberOf(queuedMessages) },
      {
        heading: texts.common.actions,
        cell: ({ n, client: id }) =>
          button(own.end, () => act(() => ask(`/connections/${n}`, { method: 'DELETE' })), {
            kind: 'danger',
            label: say(own.endOf, { client: id }),
          }),
      },
    ],
  });
  const ended = new Table(byId('user-ended'), {
    caption: words.ended,
    empty: words.noEnded,
    keyOf: ({ n }) => n,
    columns: [
      { heading: own.until, short: true, cell: ({ until }) => timeOf(until) },
      client,
      { heading: own.why, long: true, cell: ({ inWords }) => inWords },
      { heading: own.from, short: true, cell: ({ address }) => address },
    ],
  });
  const denials = new Table(byId('user-denials'), denialColumns({ caption: words.denials, withLogin: false }));

  async function act(work, text = null) {
    try {
      const answer = await work();
      if (text !== null) tell(say(text, { login, ...answer }));
      await show();
      changed();
      return answer;
    } catch (error) {
      tell(reasonOf(error));
      return null;
    }
  }

  async function show() {
    if (login === null) return;
    const shown = login;
    const query = `login=${encodeURIComponent(login)}`;
    const nothing = { groups: null, totals: { publishesReceived: 0, publishesSent: 0 } };
    const [user, limits, open, closed, denied] = await Promise.all([
      ask(path()).catch(() => nothing),
      ask(path('/limits')),
      ask(`/connections?${query}&limit=200`),
      ask(`/connections?${query}&state=closed&sort=ended&limit=50`),
      ask(`/denials?${query}`),
    ]);
    if (shown !== login) return;
    const groups = (user.groups ?? limits.groups).join(', ') || '–';
    const { publishesReceived, publishesSent } = user.totals;
    const facts = say(words.facts, { groups, in: numberOf(publishesReceived), out: numberOf(publishesSent) });
    const { bannedUntil, decided } = limits;
    const ban = bannedUntil === null ? '' : say(words.banned, { until: timeOf(bannedUntil) });
    byId('user-facts').textContent = `${facts} ${ban}`;
    byId('ban-lift').hidden = bannedUntil === null;
    byId('limit-restore').hidden = !decided.some(({ group }) => group === undefined);
    byId('limit-override').textContent = decided.map((it) => decisionInWords(it, words)).join(' ');
    limitForm.show(limits);
    byId('user-limits').replaceChildren(...rateBars(limits), ...limitBars(limits.use));
    clients.show(open.connections);
    ended.show(closed.connections);
    denials.show(denied.denials);
  }

  const seconds = (id) => Number(byId(id).value) * 60;
  byId('user-kick').addEventListener('click', () =>
    act(async () => {
      const { ended: n } = await ask(path('/connections'), { method: 'DELETE' });
      return { n };
    }, words.kicked),
  );
  byId('user-remove').addEventListener('click', async () => {
    const whom = login;
    if (!confirm(say(words.removeSure, { login }))) return;
    const removed = await act(() => ask(`/accounts/${encodeURIComponent(whom)}`, { method: 'DELETE' }), words.removed);
    // Of who is no more there is nothing to show.
    if (removed === null || login !== whom) return;
    open(null);
    byId('users-find').focus();
  });
  byId('user-close').addEventListener('click', () => open(null));
  byId('ban-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const body = { login, seconds: seconds('ban-minutes'), reason: byId('ban-reason').value };
    act(() => ask('/bans', { method: 'POST', body }));
  });
  byId('ban-lift').addEventListener('click', () =>
    act(() => ask(`/bans?login=${encodeURIComponent(login)}`, { method: 'DELETE' })),
  );
  byId('limit-restore').addEventListener('click', () => act(() => ask(path('/limits'), { method: 'DELETE' })));

  function open(whom) {
    if (whom !== login) trace.stop();
    login = whom;
    byId('user').hidden = login === null;
    if (login === null) return;
    byId('user-title').textContent = login;
    byId('user-title').focus();
    show().catch((error) => tell(reasonOf(error)));
  }

  return { open, refresh: () => show().catch(() => {}) };
}

export function denialColumns({ caption, withLogin }) {
  return {
    caption,
    empty: words.noDenials,
    keyOf: ({ login, client: id, action, topic, reason, address }) =>
      JSON.stringify([login, id, action, topic, reason, address]),
    columns: [
      { heading: words.time, short: true, cell: ({ time }) => timeOf(time) },
      ...(withLogin ? [{ heading: words.login, cell: ({ login }) => login }] : []),
      client,
      { heading: own.what, cell: ({ action }) => own.actions[action] ?? action },
      { heading: own.topic, mono: true, cell: ({ topic, address }) => topic ?? address },
      { heading: own.hint, long: true, cell: ({ hint }) => hint },
      { heading: own.count, number: true, cell: ({ count }) => numberOf(count) },
    ],
  };
}
