import { button, byId, element, say } from './dom.js';
import { decisionInWords, limitName } from './limits.js';
import { texts } from './texts.js';

const words = texts.operator;
const USUAL_MINUTES = 60;

/**
 * The decision about one user's limits. There is one at a time, with one end and one reason: the form holds the one in
 * force, so that what is set beside it keeps what was there.
 */
export class LimitForm {
  #shown = '';
  #touched = false;

  /** `set` is handed the decision; returns the broker's answer, or null. */
  constructor(set) {
    const form = byId('limit-form');
    form.addEventListener('input', () => {
      this.#touched = true;
    });
    form.addEventListener('submit', async (event) => {
      event.preventDefault();
      const answer = await set(this.#decision());
      if (answer?.former === undefined) return;
      byId('limit-replaced').textContent = say(words.replaced, { former: decisionInWords(answer.former, words) });
    });
  }

  /** The limits of a user, as the broker says now. What was typed meanwhile stays, unless another decision is in force. */
  show({ login, limits, decided }) {
    const names = Object.keys(limits);
    const select = byId('limit-name');
    if (select.options.length !== names.length) {
      select.replaceChildren(...names.map((name) => element('option', { value: name }, limitName(name))));
    }
    const inForce = decided.find(({ group }) => group === undefined);
    const shown = JSON.stringify([login, inForce]);
    if (shown !== this.#shown) {
      this.#shown = shown;
      this.#touched = false;
      byId('limit-kept').replaceChildren(...Object.entries(inForce?.limits ?? {}).map((it) => this.#kept(...it)));
      byId('limit-value').value = '';
      byId('limit-reason').value = inForce?.reason ?? '';
      byId('limit-replaced').textContent = '';
      byId('limit-minutes').value = minutesOf(inForce);
    } else if (!this.#touched) byId('limit-minutes').value = minutesOf(inForce);
  }

  #kept(name, value) {
    const field = element('input', { type: 'number', min: 0, required: true, value });
    field.dataset.limit = name;
    const row = element('span', { class: 'kept' }, element('label', {}, limitName(name), ' ', field));
    const leaveOut = () => {
      this.#touched = true;
      row.remove();
      byId('limit-name').focus();
    };
    row.append(button(words.leaveOut, leaveOut, { label: say(words.leaveOutOf, { limit: limitName(name) }) }));
    return row;
  }

  #decision() {
    const limits = {};
    for (const field of byId('limit-kept').querySelectorAll('input')) limits[field.dataset.limit] = Number(field.value);
    const { value } = byId('limit-value');
    if (value !== '') limits[byId('limit-name').value] = Number(value);
    const minutes = byId('limit-minutes').value;
    return { limits, seconds: minutes === '' ? null : Number(minutes) * 60, reason: byId('limit-reason').value };
  }
}

/** Those that are left, of what is in force. */
function minutesOf(inForce) {
  if (inForce === undefined) return USUAL_MINUTES;
  if (inForce.until === null) return '';
  return Math.max(1, Math.ceil((new Date(inForce.until) - Date.now()) / 60_000));
}
