import { ask, follow, reasonOf } from './ask.js';
import { button, byId, element, numberOf, say, Table, tell, timeOf } from './dom.js';
import { decisionInWords, limitBars, rateBars } from './limits.js';
import { liveView } from './live.js';
import { checkStillIn, enter, isLeaving } from './log-in.js';
import { texts } from './texts.js';

const words = texts.me;
const SHOWN = 200;

const time = { heading: words.time, short: true, cell: ({ time: at }) => timeOf(at) };
const client = { heading: words.client, mono: true, cell: (it) => it.client };

/* What makes a row the same as one before it: in its table, and when the broker tells of it again. */
const denialKey = ({ client: id, action, topic, reason }) => JSON.stringify([id, action, topic, reason]);
const trafficKey = ({ client: id, topic }) => JSON.stringify([id, topic]);
/** Attempts of different clients are rows of their own, whose beginnings tell them apart. */
const failureKey = ({ address, reason, first }) => JSON.stringify([address, reason, first]);

const denials = new Table(byId('denials'), {
  caption: words.denials,
  empty: words.noDenials,
  keyOf: denialKey,
  columns: [
    time,
    client,
    { heading: words.what, cell: ({ action }) => words.actions[action] ?? action },
    { heading: words.topic, mono: true, cell: ({ topic }) => topic },
    { heading: words.hint, long: true, cell: ({ hint }) => hint },
    { heading: words.count, number: true, cell: ({ count }) => numberOf(count) },
  ],
});

const clients = new Table(byId('clients'), {
  caption: words.clients,
  empty: words.noClients,
  keyOf: ({ n }) => n,
  columns: [
    client,
    { heading: words.protocol, short: true, cell: ({ protocol }) => `MQTT ${protocol}` },
    { heading: words.from, short: true, cell: ({ address }) => address },
    { heading: words.since, short: true, cell: ({ since }) => timeOf(since) },
    { heading: words.lastPacket, short: true, cell: ({ silentSeconds: n }) => say(words.secondsAgo, { n }) },
    {
      heading: words.subscriptions,
      mono: true,
      cell: ({ subscriptions }) => subscriptions.map(({ filter, qos }) => `${filter} (${qos})`).join(', '),
    },
    {
      heading: words.sentReceived,
      number: true,
      cell: ({ publishesReceived, publishesSent }) => `${numberOf(publishesReceived)}, ${numberOf(publishesSent)}`,
    },
    {
      heading: texts.common.actions,
      cell: ({ n, client: id }) =>
        button(words.end, () => change(`/me/connections/${n}`, showConnections), {
          kind: 'danger',
          label: say(words.endOf, { client: id }),
        }),
    },
  ],
});

const ended = new Table(byId('ended'), {
  caption: words.endedTitle,
  empty: words.noEnded,
  keyOf: ({ n }) => n,
  columns: [
    { heading: words.until, short: true, cell: ({ until }) => timeOf(until) },
    client,
    { heading: words.why, long: true, cell: ({ inWords }) => inWords },
    { heading: words.from, short: true, cell: ({ address }) => address },
    { heading: words.since, short: true, cell: ({ since }) => timeOf(since) },
  ],
});

const traffic = new Table(byId('traffic'), {
  caption: words.traffic,
  empty: words.noTraffic,
  keyOf: trafficKey,
  columns: [
    time,
    client,
    { heading: words.topicName, mono: true, cell: ({ topic }) => topic },
    { heading: words.receivers, cell: ({ receivers }) => (receivers === 0 ? words.nobody : numberOf(receivers)) },
    { heading: words.qos, number: true, cell: ({ qos }) => qos },
    { heading: words.count2, number: true, cell: ({ messages }) => numberOf(messages) },
    { heading: words.bytes, number: true, cell: ({ bytes }) => numberOf(bytes) },
  ],
});

const queues = new Table(byId('queues'), {
  caption: words.queues,
  empty: words.noQueues,
  keyOf: ({ client: id }) => id,
  columns: [
    client,
    { heading: words.away, short: true, cell: ({ lastSeen }) => (lastSeen === null ? words.here : timeOf(lastSeen)) },
    { heading: words.waiting, number: true, cell: (it) => numberOf(it.queuedMessages + it.inflightMessages) },
    { heading: words.dropped, number: true, cell: ({ droppedMessages }) => numberOf(droppedMessages) },
    { heading: words.keptFor, cell: ({ keptSeconds }) => lasting(keptSeconds) },
  ],
});

const retained = new Table(byId('retained'), {
  caption: words.retainedTitle,
  empty: '',
  keyOf: ({ topic }) => topic,
  columns: [
    { heading: words.topicName, mono: true, cell: ({ topic }) => topic },
    { heading: words.since, short: true, cell: ({ since }) => timeOf(since) },
    { heading: words.bytes, number: true, cell: ({ bytes }) => numberOf(bytes) },
    {
      heading: words.expires,
      short: true,
      cell: ({ expires }) => (expires === null ? texts.common.never : timeOf(expires)),
    },
    {
      heading: texts.common.actions,
      cell: ({ topic }) =>
        button(words.delete, () => change(`/me/retained?filter=${encodeURIComponent(topic)}`, showRetained), {
          kind: 'danger',
          label: say(words.deleteOf, { topic }),
        }),
    },
  ],
});

const failures = new Table(byId('failures'), {
  caption: words.failures,
  empty: words.noFailures,
  keyOf: failureKey,
  columns: [
    time,
    { heading: words.from, short: true, cell: ({ address }) => address },
    { heading: words.reason, long: true, cell: ({ reason }) => words.reasons[reason] ?? reason },
    { heading: words.count, number: true, cell: ({ count }) => numberOf(count) },
  ],
});

let denied = [];
let live = null;
let failed = [];
let published = [];

async function change(path, then) {
  try {
    await ask(path, { method: 'DELETE' });
    await then();
  } catch (error) {
    tell(reasonOf(error));
  }
}

async function showConnections() {
  const was = live?.receiving ?? '';
  const answer = await ask('/me/connections');
  live?.subscribed(answer.open, was);
  clients.show(answer.open);
  ended.show(answer.ended);
  queues.show((await ask('/me/sessions')).sessions);
}

async function showDenials() {
  ({ denials: denied, logins: failed } = await ask('/me/denials'));
  denials.show(denied);
  failures.show(failed);
}

async function showRetained() {
  const { retained: found, total } = await ask('/me/retained');
  retained.show(found);
  byId('retained-more').textContent =
    total === 0 ? words.noRetained : say(words.moreRetained, { shown: found.length, total });
  byId('retained-show').textContent = words.refresh;
}

async function showSelf() {
  const me = await ask('/me');
  const { publishesReceived, publishesSent } = me.perSecond;
  byId('rates').textContent = say(words.rates, { in: publishesReceived, out: publishesSent });
  const slowed = me.rates.filter((rate) => rate.slowed).map(({ direction }) => words.slowed[direction]);
  byId('slowed').textContent = slowed.join(' ');
  byId('slowed').hidden = slowed.length === 0;
  const decisions = { override: words.decided, groupOverride: words.groupDecided, forever: words.decidedForever };
  byId('decided').textContent = me.decided.map((it) => decisionInWords(it, decisions)).join(' ');
  byId('limits').replaceChildren(...rateBars(me), ...limitBars(me.limits));
  const lines = me.traced.map(({ since, until, ended: over }) =>
    element('li', {}, say(over ? words.traced : words.ongoing, { since: timeOf(since), until: timeOf(until) })),
  );
  byId('traces').replaceChildren(...(lines.length > 0 ? lines : [element('li', { class: 'soft' }, words.noTraces)]));
  return me;
}

function lasting(seconds) {
  const [unit, length] = seconds >= 86_400 ? ['day', 86_400] : seconds >= 3_600 ? ['hour', 3_600] : ['minute', 60];
  const format = new Intl.NumberFormat('en', { style: 'unit', unit, unitDisplay: 'long' });
  return format.format(Math.round(seconds / length));
}

/** The newest first, what is the same once. */
function merged(known, item, keyOf) {
  return [item, ...known.filter((it) => keyOf(it) !== keyOf(item))].slice(0, SHOWN);
}

/** One more call is one too many while another is on its way. */
function soon(work, delayMs) {
  let waits = false;
  return () => {
    if (waits) return;
    waits = true;
    setTimeout(() => {
      waits = false;
      work().catch(() => {});
    }, delayMs);
  };
}

function showLines({ login, mqttPort }, home) {
  const host = location.hostname.replace(/^\[(.*)\]$/, '$1');
  const common = `--cafile iot-lab-ca.pem -h ${host} -p ${mqttPort} -u ${login} -P '<password>'`;
  byId('line-receive').textContent = `mosquitto_sub ${common} -t '${home}/#' -v`;
  byId('line-send').textContent = `mosquitto_pub ${common} -t ${home}/test -m 'Hello, world!'`;
  const url = `wss://${location.host}/mqtt`;
  byId('line-other').textContent = say(words.address, { host, port: mqttPort, url });
}

enter(async (session) => {
  const me = await showSelf();
  const home = (me.home ?? `iotlab/${session.login}/`).replace(/\/$/, '');
  showLines(session, home);
  live = liveView({ login: session.login, home });
  byId('retained-show').addEventListener('click', () => showRetained().catch((error) => tell(reasonOf(error))));
  traffic.show(published);
  const everything = () => Promise.all([showConnections(), showDenials(), showSelf()]);
  const connectionsSoon = soon(showConnections, 300);
  const selfSoon = soon(showSelf, 2_000);
  let told = '';
  follow('/me/events', {
    connected: () => {
      connectionsSoon();
      selfSoon();
    },
    disconnected: ({ client: id, reason, inWords }) => {
      if (reason !== 'disconnect') tell(say(words.kicked, { client: id, why: inWords }));
      connectionsSoon();
      selfSoon();
    },
    denied: (item) => {
      denied = merged(denied, item, denialKey);
      denials.show(denied);
      live.denied(item);
      const text = say(item.hint.startsWith(item.topic) ? words.deniedHint : words.denied, item);
      if (text !== told) tell(text);
      told = text;
    },
    failed: (item) => {
      failed = merged(failed, item, failureKey);
      failures.show(failed);
    },
    traffic: ({ topics }) => {
      for (const topic of topics) {
        const before = published.find((it) => trafficKey(it) === trafficKey(topic)) ?? { messages: 0, bytes: 0 };
        const sum = { messages: before.messages + topic.messages, bytes: before.bytes + topic.bytes };
        published = merged(published, { ...topic, ...sum, time: Date.now() }, trafficKey);
      }
      traffic.show(published);
      selfSoon();
    },
    gone: () => {
      if (isLeaving()) return;
      tell(texts.common.lost);
      checkStillIn();
    },
    back: () => everything().catch(() => checkStillIn()),
  });
  await everything();
});
