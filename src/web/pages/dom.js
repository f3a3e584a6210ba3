import { texts } from './texts.js';

export const byId = (id) => document.getElementById(id);

/** A text with its gaps filled: `{n} of {m}`. */
export const say = (text, values) => text.replaceAll(/\{(\w+)\}/g, (_, name) => String(values[name]));

export const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);

/** An element. Whatever is shown of clients is put in as text, never as markup. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else if (key === 'class') made.className = value;
    else if (key.startsWith('aria-') || key === 'scope' || key === 'for') made.setAttribute(key, value);
    else made[key] = value;
  }
  made.append(...children.map((child) => (child instanceof Node ? child : document.createTextNode(String(child)))));
  return made;
}

export function button(text, onclick, { label, kind = '' } = {}) {
  return element('button', {
    type: 'button',
    class: kind,
    onclick,
    ...(label === undefined ? {} : { 'aria-label': label }),
    textContent: text,
  });
}

/** Shown for a while, and read out. */
export function tell(text) {
  const news = byId('news');
  const line = element('p', {}, text);
  news.append(line);
  while (news.childElementCount > 3) news.firstElementChild.remove();
  setTimeout(() => line.remove(), 8_000);
}

/**
 * A table that is told what it shows, as often as it changes: rows that stay the same are left alone, so that neither
 * the focus nor a selection is lost. `columns`: heading, what is in a cell (text or element), and how: a number, in one line (`short`), or a sentence (`long`).
 */
export class Table {
  #rows = new Map();
  #columns;
  #keyOf;
  #body = element('tbody');
  #table;
  #empty;

  constructor(place, { caption, columns, keyOf, empty = texts.common.none }) {
    this.#columns = columns;
    this.#keyOf = keyOf;
    const headings = columns.map(({ heading, number }) =>
      element('th', { scope: 'col', class: number ? 'number' : '' }, heading),
    );
    this.#table = element(
      'table',
      { 'aria-label': caption },
      element('thead', {}, element('tr', {}, ...headings)),
      this.#body,
    );
    this.#table.hidden = true;
    this.#empty = element('p', { class: 'soft' }, empty);
    place.replaceChildren(this.#table, this.#empty);
    place.tabIndex = 0;
    place.setAttribute('role', 'region');
    place.setAttribute('aria-label', caption);
  }

  show(items) {
    const seen = new Map();
    for (const item of items) {
      const key = this.#keyOf(item);
      const row = this.#rows.get(key) ?? { element: element('tr'), text: '' };
      seen.set(key, row);
      const text = JSON.stringify(item);
      if (row.text !== text) {
        row.text = text;
        row.element.replaceChildren(...this.#columns.map((column) => cellOf(column, item)));
      }
    }
    for (const [key, { element: gone }] of this.#rows) if (!seen.has(key)) gone.remove();
    let place = this.#body.firstElementChild;
    for (const { element: row } of seen.values()) {
      if (row === place) place = place.nextElementSibling;
      else this.#body.insertBefore(row, place);
    }
    this.#rows = seen;
    this.#table.hidden = seen.size === 0;
    this.#empty.hidden = seen.size > 0;
  }

  rowOf(key) {
    return this.#rows.get(key)?.element;
  }
}

function cellOf({ cell, number, mono, short, long }, item) {
  const kind = number ? 'number' : mono ? 'mono' : short ? 'short' : long ? 'long' : '';
  return element('td', { class: kind }, cell(item) ?? '');
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const calendar = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
});

/** The time today, the date before. */
export function timeOf(date) {
  if (date === null || date === undefined) return '';
  const it = new Date(date);
  return (it.toDateString() === new Date().toDateString() ? clock : calendar).format(it);
}

export const numberOf = (value) => new Intl.NumberFormat('en').format(value);

export function bytesOf(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let left = value;
  let unit = 0;
  while (left >= 1024 && unit < units.length - 1) {
    left /= 1024;
    unit++;
  }
  return `${left < 10 && unit > 0 ? left.toFixed(1) : Math.round(left)} ${units[unit]}`;
}
