import { ask, reasonOf } from './ask.js';
import { button, byId, bytesOf, element, numberOf, say, Table, tell, timeOf } from './dom.js';
import { limitName } from './limits.js';
import { cameBack, checkStillIn, enter } from './log-in.js';
import { denialColumns, userView } from './operator-user.js';
import { Spark } from './spark.js';
import { texts } from './texts.js';

const words = texts.operator;
const FAST_MS = 3_000;
const SLOW_MS = 10_000;
const CLASS_AT_ONCE = 20;
/** From the last letter that is typed to the question who that is. */
const TYPING_MS = 300;

/** Who may log in and has nothing here, of those that are looked for. */
let strangers = [];

const user = userView(() => findStrangers().catch(() => {}));

/** Of who has nothing here there is nothing to say. */
const ifHere = (cell) => (row) => (row.here === false ? '' : cell(row));

const users = new Table(byId('users'), {
  caption: words.users,
  keyOf: ({ login }) => login,
  columns: [
    { heading: words.login, cell: ({ login }) => login },
    {
      heading: texts.me.limitNames.connectionsPerUser,
      number: true,
      cell: ifHere(({ connections }) => numberOf(connections)),
    },
    {
      heading: words.perSecond,
      number: true,
      cell: ifHere(({ perSecond: p }) => `${numberOf(p.publishesReceived)}, ${numberOf(p.publishesSent)}`),
    },
    { heading: words.queued, number: true, cell: ifHere(({ queuedMessages }) => numberOf(queuedMessages)) },
    { heading: words.memory, number: true, cell: ifHere(({ heldBytes }) => bytesOf(heldBytes)) },
    {
      heading: words.fullest,
      long: true,
      cell: ({ here, fullest }) => (here === false ? words.neverHere : bar(fullest)),
    },
    { heading: words.denialsCount, number: true, cell: ifHere(({ denials }) => numberOf(denials)) },
    {
      heading: texts.common.actions,
      cell: ({ login }) => button(words.open, () => user.open(login), { label: say(words.openOf, { login }) }),
    },
  ],
});

const slow = new Table(byId('slow'), {
  caption: words.slow,
  keyOf: ({ login, client }) => JSON.stringify([login, client]),
  columns: [
    { heading: words.login, cell: ({ login }) => login },
    { heading: words.client, mono: true, cell: ({ client }) => client },
    {
      heading: words.oldest,
      number: true,
      cell: ({ oldestUnacknowledgedSeconds: n }) => (n === null ? '' : say(words.seconds, { n: numberOf(n) })),
    },
    { heading: words.inflight, number: true, cell: ({ inflightMessages }) => numberOf(inflightMessages) },
    { heading: words.queued, number: true, cell: ({ queuedMessages }) => numberOf(queuedMessages) },
    { heading: words.dropped, number: true, cell: ({ droppedMessages }) => numberOf(droppedMessages) },
  ],
});

const denials = new Table(byId('denials'), denialColumns({ caption: words.allDenials, withLogin: true }));

const made = new Table(byId('class-made'), {
  caption: words.classList,
  empty: '',
  keyOf: ({ login }) => login,
  columns: [
    { heading: words.login, mono: true, cell: ({ login }) => login },
    { heading: words.password, mono: true, cell: ({ password }) => password },
  ],
});

const audit = new Table(byId('audit'), {
  caption: words.audit,
  keyOf: (entry) => JSON.stringify(entry),
  columns: [
    { heading: words.time, short: true, cell: ({ time }) => timeOf(time) },
    {
      heading: words.who,

      cell: ({ login, claims, door, address }) => [login ?? claims, door, address].filter(Boolean).join(' '),
    },
    { heading: words.what, mono: true, cell: ({ what, body }) => [what, body].filter(Boolean).join(' ') },
    { heading: words.result, cell: ({ result }) => result },
  ],
});

const sparks = new Map(Object.entries(words.courses).map(([name, title]) => [name, new Spark(byId('sparks'), title)]));

function bar({ limit, used, most }) {
  const percent = most === 0 ? 0 : Math.round((100 * used) / most);
  const text = say(words.fullestOf, { name: limitName(limit), percent });
  return element(
    'span',
    {},
    element('meter', { min: 0, max: 100, high: 80, value: percent, 'aria-label': text }),
    ' ',
    text,
  );
}

async function showHealth() {
  const status = await ask('/status');
  const names = words.healthNames;
  const server = status.certificates.find(({ role }) => role === 'server');
  const days = server === undefined ? null : Math.floor((new Date(server.expires) - Date.now()) / 86_400_000);
  const { backend, state } = status.credentials;
  const rows = [
    [names.status, status.status, status.status === 'ok'],
    [names.store, status.store, status.store === 'ok'],
    [names.directory, `${backend}: ${state}`, state === 'ok'],
    ...(days === null ? [] : [[names.certificate, say(texts.status.days, { n: days }), days >= 14]]),
    [names.uptime, timeOf(Date.now() - status.uptimeSeconds * 1_000)],
    [names.connections, numberOf(status.connections)],
    [names.users, numberOf(status.usersOnline)],
    [names.sessions, numberOf(status.sessions)],
    [names.retained, numberOf(status.retainedMessages)],
    [names.memory, say(texts.me.used, { used: bytesOf(status.heldBytes), most: bytesOf(status.heldBytesLimit) })],
    [names.version, status.version],
  ];
  byId('health').replaceChildren(
    ...rows.map(([name, text, good]) =>
      element(
        'div',
        {},
        element('dt', { class: 'soft' }, name),
        element('dd', { class: good === undefined ? '' : good ? 'good' : 'bad' }, text),
      ),
    ),
  );
}

async function showCourse() {
  const { samples } = await ask('/course');
  for (const [name, spark] of sparks) spark.show(samples.map((sample) => sample[name]));
}

async function showUsers() {
  const { users: found, total } = await ask(`/users?sort=${byId('users-sort').value}&limit=1000`);
  const wanted = byId('users-find').value.trim();
  const shown = found.filter(({ login }) => login.includes(wanted));
  const known = new Set(found.map(({ login }) => login));
  const others = strangers.filter(({ login }) => login.includes(wanted) && !known.has(login));
  users.show([...shown, ...others]);
  byId('users-count').textContent = say(words.count, { shown: numberOf(shown.length), total: numberOf(total) });
}

/** Class members of whom nothing is kept can be limited, kept out and removed as well. */
async function findStrangers() {
  const wanted = byId('users-find').value.trim();
  const { accounts } =
    wanted === '' ? { accounts: [] } : await ask(`/accounts?find=${encodeURIComponent(wanted)}&limit=100`);
  if (byId('users-find').value.trim() !== wanted) return;
  strangers = accounts.filter(({ here }) => !here);
  await showUsers();
}

async function showSlow() {
  const { oldest, dropped } = await ask('/slow');
  const known = new Set(oldest.map(({ login, client }) => JSON.stringify([login, client])));
  slow.show([...oldest, ...dropped.filter(({ login, client }) => !known.has(JSON.stringify([login, client])))]);
}

const showDenials = async () => denials.show((await ask('/denials?limit=50')).denials);
const showAudit = async () => audit.show((await ask('/audit?limit=50')).entries.reverse());

byId('class-form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const lines = (id, separator) =>
    byId(id)
      .value.split(separator)
      .map((it) => it.trim())
      .filter((it) => it !== '');
  const logins = lines('class-logins', /[\s,;]+/);
  const groups = lines('class-groups', ',');
  const added = [];
  let there = 0;
  const submit = event.submitter;
  submit.disabled = true;
  try {
    // Each password takes a moment to be made safe: a few at a time, and those that are made are shown.
    for (let at = 0; at < logins.length; at += CLASS_AT_ONCE) {
      const body = { logins: logins.slice(at, at + CLASS_AT_ONCE), groups };
      const answer = await ask('/accounts', { method: 'POST', body });
      added.push(...answer.added);
      there += answer.there.length;
      made.show(added);
      byId('class-answer').textContent = say(words.added, { n: added.length, there });
      byId('class-print').hidden = added.length === 0;
    }
    byId('class-logins').value = '';
  } catch (error) {
    byId('class-answer').textContent = reasonOf(error);
  } finally {
    submit.disabled = false;
  }
});
byId('class-print').addEventListener('click', () => print());

/** Again and again while the page is looked at; one at a time. */
function often(work, periodMs) {
  let busy = false;
  const look = async () => {
    if (busy || document.hidden) return;
    busy = true;
    await work().catch(() => checkStillIn(({ operator }) => operator));
    busy = false;
  };
  look();
  setInterval(look, periodMs);
  document.addEventListener('visibilitychange', look);
}

enter(async (session) => {
  byId('to-operator').hidden = true;
  if (!session.operator) {
    byId('content').hidden = true;
    byId('no-operator').hidden = false;
    if (cameBack()) byId('demoted').hidden = false;
    return;
  }
  const sorts = Object.entries(words.sorts).map(([value, text]) => element('option', { value }, text));
  byId('users-sort').append(...sorts);
  const look = () => showUsers().catch((error) => tell(reasonOf(error)));
  byId('users-sort').addEventListener('change', look);
  let typing = 0;
  byId('users-find').addEventListener('input', () => {
    look();
    clearTimeout(typing);
    typing = setTimeout(() => findStrangers().catch((error) => tell(reasonOf(error))), TYPING_MS);
  });
  often(() => Promise.all([showHealth(), showUsers(), user.refresh()]), FAST_MS);
  often(() => Promise.all([showCourse(), showSlow(), showDenials(), showAudit()]), SLOW_MS);
});
