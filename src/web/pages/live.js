import { ask } from './ask.js';
import { byId, bytesOf, element, numberOf, say, sentence, timeOf } from './dom.js';
import { MqttClient } from './mqtt.js';
import { texts } from './texts.js';

const words = texts.me;
/** Messages that are shown, the newest first. */
const SHOWN = 100;
const SHOWN_CHARACTERS = 2_000;
/** For an acknowledgement: after that it is said why there is none. */
const PATIENCE_MS = 1_000;

/** The live view of the user's own tree: a client of MQTT 5 in the page, with a ticket in the place of a password. */
export function liveView({ login, home }) {
  const { filter, topic, toggle, state, list, form } = Object.fromEntries(
    ['filter', 'topic', 'toggle', 'state', 'list', 'form'].map((name) => [name, byId(`live-${name}`)]),
  );
  let client = null;
  let clientId = '';
  /** While it connects: no second one is wanted. */
  let starting = null;
  /** The filter that is subscribed to; empty: none. */
  let receiving = '';
  let changing = Promise.resolve();
  let sentTo = null;
  let sends = 0;
  /** Messages that are not acknowledged. */
  const pending = new Set();
  const answer = byId('live-answer');
  let fresh = [];
  let drawing = false;
  // Whoever has no mouse scrolls it with the keys.
  list.parentElement.tabIndex = 0;
  filter.value = `${home}/#`;
  topic.value = `${home}/test`;

  function draw() {
    drawing = false;
    const lines = fresh
      .reverse()
      .map((message) =>
        element(
          'li',
          {},
          element('span', { class: 'soft' }, `${timeOf(message.at)} `),
          element('strong', { class: 'mono' }, message.topic),
          message.retain ? element('span', { class: 'soft' }, ` (${words.retained})`) : '',
          element('pre', {}, textOf(message.payload)),
        ),
      );
    fresh = [];
    list.prepend(...lines);
    while (list.childElementCount > SHOWN) list.lastElementChild.remove();
  }

  function received(message) {
    fresh.push({ ...message, at: Date.now() });
    if (fresh.length > SHOWN) fresh.shift();
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(draw);
  }

  function stop(text) {
    client?.close();
    client = null;
    receiving = '';
    toggle.textContent = words.start;
    state.textContent = text;
  }

  async function connect() {
    toggle.disabled = true;
    state.textContent = words.connecting;
    const mine = new MqttClient();
    try {
      const { ticket } = await ask('/me/ticket', { method: 'POST' });
      clientId = `page-${Math.random().toString(36).slice(2, 10)}`;
      mine.onMessage = received;
      await mine.connect({ url: `wss://${location.host}/mqtt`, clientId, login, password: ticket });
      client = mine;
      mine.onClose = (why) => client === mine && stop(say(words.closed, { why: sentence(why || words.noReason) }));
      toggle.textContent = words.stop;
      await receive();
    } catch (error) {
      mine.close();
      if (client === null || client === mine) stop(say(words.notConnected, { why: sentence(whyOf(error)) }));
    } finally {
      toggle.disabled = false;
    }
  }

  function start() {
    starting ??= connect().finally(() => {
      starting = null;
    });
    return starting;
  }

  /** Subscribes to what the field says, and leaves what it said before once that is granted. */
  async function receive() {
    const mine = client;
    const wanted = filter.value;
    if (mine === null) return;
    const refused = wanted === receiving ? '' : await mine.subscribe(wanted);
    if (client !== mine) return;
    if (refused === '') {
      const before = receiving;
      receiving = wanted;
      if (before !== '' && before !== wanted) await mine.unsubscribe(before);
    }
    const goesOn = receiving === '' ? '' : say(words.connected, { filter: receiving });
    state.textContent = refused === '' ? goesOn : `${words.refusedFilter}${sentence(refused)} ${goesOn}`;
  }

  toggle.addEventListener('click', () => (client === null ? start() : stop(words.stopped)));
  filter.addEventListener('change', () => {
    changing = changing.then(receive).catch(() => {});
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    // What is denied late of the one before is not the answer to this one.
    sentTo = '';
    // The broker would end the connection for it [MQTT-3.3.2-2].
    if (/[+#]/.test(topic.value)) {
      answer.textContent = words.wildcards;
      topic.focus();
      return;
    }
    if (client === null) await start();
    if (client === null) {
      answer.textContent = words.startFirst;
      return;
    }
    const qos = Number(byId('live-qos').value);
    answer.textContent = '';
    sentTo = topic.value;
    const mine = ++sends;
    const impatient = setTimeout(() => sayWhyItWaits(() => mine === sends && pending.has(mine)), PATIENCE_MS);
    pending.add(mine);
    try {
      const retain = byId('live-retain').checked;
      const refused = await client.publish(sentTo, byId('live-payload').value, { qos, retain });
      if (refused !== '') answer.textContent = `${words.refused}${sentence(refused)}`;
      else answer.textContent = qos === 0 ? words.sent : words.sentTo;
    } catch {
      answer.textContent = words.notSent;
    } finally {
      clearTimeout(impatient);
      pending.delete(mine);
    }
  });

  async function sayWhyItWaits(waits) {
    const { rates = [] } = await ask('/me').catch(() => ({}));
    if (!waits()) return;
    const slowed = rates.find(({ direction, slowed: isSlowed }) => direction === 'in' && isSlowed);
    answer.textContent = slowed === undefined ? words.waitsStill : say(words.waits, { rate: rateInWords(slowed) });
  }

  /** The subscription is no more, and MQTT has no packet that says so. */
  function filterEnded(filter, why) {
    receiving = '';
    state.textContent = say(words.filterEnded, { filter, why: sentence(why) });
  }

  return {
    /** The filter that is subscribed to; empty: none. */
    get receiving() {
      return receiving;
    },
    /** The user's connections, as they were when `was` was subscribed to: nothing is told to a page that nobody looks at. */
    subscribed(connections, was) {
      const own = connections.find(({ client: id }) => id === clientId);
      if (own === undefined || was === '' || receiving !== was) return;
      if (!own.subscriptions.some(({ filter: each }) => each === was)) filterEnded(was, words.seeDenials);
    },
    /** At QoS 0 nobody else says so. */
    denied({ client: id, action, topic: where, reason, hint }) {
      if (id === clientId && reason === 'rules-changed' && isCutOf(where, receiving)) filterEnded(receiving, hint);
      if (id !== clientId || action !== 'publish' || !isCutOf(where, sentTo)) return;
      answer.textContent = `${words.refused}${sentence(hint)}`;
    },
  };
}

function rateInWords({ messagesPerSecond: n, bytesPerSecond }) {
  const messages = n === null ? [] : [say(words.rateMessages, { n: numberOf(n) })];
  return [...messages, ...(bytesPerSecond === null ? [] : [bytesOf(bytesPerSecond)])].join(', ');
}

/** Long ones are told by their beginning. */
const isCutOf = (shown, whole) => shown === whole || (shown.endsWith('…') && whole?.startsWith(shown.slice(0, -1)));

/** What `fetch` throws is nothing for people. */
const whyOf = (error) => (error instanceof TypeError ? texts.common.lost : error.message);

/** Text as text, anything else as hexadecimal. */
function textOf(payload) {
  const start = payload.subarray(0, SHOWN_CHARACTERS);
  const rest = payload.length > SHOWN_CHARACTERS ? '…' : '';
  try {
    return new TextDecoder('utf-8', { fatal: rest === '' }).decode(start) + rest;
  } catch {
    return `0x${[...start].map((byte) => byte.toString(16).padStart(2, '0')).join('')}${rest}`;
  }
}
