import { texts } from './texts.js';

/** What the broker refuses, with the code and the sentence that it gives. */
export class Refused extends Error {
  constructor(status, { code = 'unknown', message = '', ...details } = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
  }
}

/** Asks the broker for JSON. Throws `Refused`. */
export async function ask(path, { method = 'GET', body } = {}) {
  const response = await fetch(`/v1${path}`, {
    method,
    ...(method === 'POST' || body !== undefined
      ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body ?? {}) }
      : {}),
  });
  const value = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, value.error);
  return value;
}

/** Follows what happens while the page is looked at. `on`: what to do, by event; `lost` and `back` are the line's own. */
export function follow(path, on) {
  let source = null;
  let wasLost = false;
  const open = () => {
    if (source !== null || document.hidden) return;
    source = new EventSource(`/v1${path}`);
    for (const [event, handle] of Object.entries(on)) {
      source.addEventListener(event, (message) => handle(message.data === undefined ? null : JSON.parse(message.data)));
    }
    source.onopen = () => {
      if (wasLost) on.back?.();
      wasLost = false;
    };
    source.onerror = () => {
      const final = source.readyState === EventSource.CLOSED;
      wasLost = true;
      if (!final) return on.gone?.();
      source = null;
      on.gone?.();
      setTimeout(open, 3_000);
    };
  };
  // A page that nobody looks at needs no line.
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) {
      on.back?.();
      open();
    } else {
      source?.close();
      source = null;
    }
  });
  open();
}

export const reasonOf = (error) =>
  `${texts.common.failed}${error instanceof Refused ? error.message : texts.common.lost}`;
