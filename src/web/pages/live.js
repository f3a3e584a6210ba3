import { ask, reasonOf } from './ask.js';
import { byId, element, timeOf } from './dom.js';
import { MqttClient } from './mqtt.js';
import { texts } from './texts.js';

/** Messages that are shown, the newest first. */
const SHOWN = 100;
const SHOWN_CHARACTERS = 2_000;

/** The live view of the user's own tree: a client of MQTT 5 in the page, with a ticket in the place of a password. */
export function liveView({ login, home }) {
  const { filter, topic, toggle, state, list, form } = Object.fromEntries(
    ['filter', 'topic', 'toggle', 'state', 'list', 'form'].map((name) => [name, byId(`live-${name}`)]),
  );
  let client = null;
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
          message.retain ? element('span', { class: 'soft' }, ` (${texts.me.retained})`) : '',
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
    toggle.textContent = texts.me.start;
    state.textContent = text;
  }

  async function start() {
    state.textContent = texts.me.connecting;
    const mine = new MqttClient();
    try {
      const { ticket } = await ask('/me/ticket', { method: 'POST' });
      const clientId = `page-${Math.random().toString(36).slice(2, 10)}`;
      const url = `wss://${location.host}/mqtt`;
      mine.onMessage = received;
      await mine.connect({ url, clientId, login, password: ticket });
      client = mine;
      mine.onClose = () => client === mine && stop(texts.me.closed);
      toggle.textContent = texts.me.stop;
      const refused = await mine.subscribe(filter.value);
      state.textContent = refused === '' ? texts.me.connected : `${texts.me.refusedFilter}${refused}`;
    } catch (error) {
      stop(reasonOf(error));
    }
  }

  toggle.addEventListener('click', () => (client === null ? start() : stop(texts.me.stopped)));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const answer = byId('live-answer');
    if (client === null) await start();
    if (client === null) {
      answer.textContent = texts.me.startFirst;
      return;
    }
    const qos = Number(byId('live-qos').value);
    answer.textContent = '';
    let refused;
    try {
      const retain = byId('live-retain').checked;
      refused = await client.publish(topic.value, byId('live-payload').value, { qos, retain });
    } catch {
      answer.textContent = texts.me.notSent;
      return;
    }
    if (refused !== '') answer.textContent = `${texts.me.refused}${refused}`;
    else answer.textContent = qos === 0 ? texts.me.sent : texts.me.sentTo;
  });
}

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
