import { ask, reasonOf } from './ask.js';
import { byId, element, tell, timeOf } from './dom.js';
import { texts } from './texts.js';

const SHOWN = 200;
const words = texts.operator;

/** Watches a user live: lines of JSON, as they come. */
export function traceView(loginOf) {
  const list = byId('trace-list');
  list.parentElement.tabIndex = 0;
  const toggle = byId('trace-toggle');
  let reading = null;

  function stop() {
    reading?.abort();
    reading = null;
    toggle.textContent = words.startTrace;
  }

  async function start() {
    const mine = new AbortController();
    reading = mine;
    toggle.textContent = words.stopTrace;
    list.replaceChildren();
    try {
      const body = { login: loginOf(), payload: byId('trace-payload').checked, seconds: 600 };
      const { id } = await ask('/traces', { method: 'POST', body });
      const response = await fetch(`/v1/traces/${id}/stream`, { signal: mine.signal });
      await read(response.body.pipeThrough(new TextDecoderStream()).getReader());
    } catch (error) {
      if (!mine.signal.aborted) tell(reasonOf(error));
    }
    if (reading === mine) stop();
  }

  async function read(reader) {
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split('\n');
      rest = lines.pop();
      list.prepend(
        ...lines
          .slice(-SHOWN)
          .reverse()
          .map((line) => element('li', {}, inWords(JSON.parse(line)))),
      );
      while (list.childElementCount > SHOWN) list.lastElementChild.remove();
    }
  }

  toggle.addEventListener('click', () => (reading === null ? start() : stop()));
  return { stop };
}

function inWords({ time, event, client = '', ...rest }) {
  const more = Object.entries(rest).map(([name, value]) => `${name} ${value}`);
  return [timeOf(time), event, client, ...more].join(' ');
}
