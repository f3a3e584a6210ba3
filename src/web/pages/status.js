import { byId, element, say, timeOf } from './dom.js';
import { texts } from './texts.js';

const PERIOD_MS = 10_000;
const { status: words } = texts;

async function look() {
  let value = null;
  try {
    value = await (await fetch('/status', { headers: { accept: 'application/json' } })).json();
  } catch {}
  show(value);
}

function show(value) {
  const summary = byId('summary');
  const up = value?.status === 'ok';
  if (value === null) summary.textContent = words.unreachable;
  else summary.textContent = up ? words.up : value.status === 'degraded' ? words.degraded : words.down;
  summary.className = `large ${up ? 'good' : 'bad'}`;
  const works = (it) => (it ? words.works : words.broken);
  const days = value?.certificateDays;
  const certificate = days < 0 ? words.expired : say(words.days, { n: days });
  const rows =
    value === null
      ? []
      : [
          [words.store, works(value.store)],
          [words.directory, works(value.directory)],
          ...(days === null ? [] : [[words.certificate, certificate]]),
        ];
  byId('details').replaceChildren(
    ...rows.flatMap(([name, text]) => [element('dt', { class: 'soft' }, name), element('dd', {}, text)]),
  );
  byId('updated').textContent = say(words.updated, { time: timeOf(Date.now()) });
}

look();
setInterval(() => document.hidden || look(), PERIOD_MS);
