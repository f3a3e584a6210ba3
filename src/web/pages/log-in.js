import { ask } from './ask.js';
import { byId, say, sentence, tell, timeOf } from './dom.js';
import { texts } from './texts.js';

/** Says to the page that is loaded next, in this window, that its user did not ask for the form. */
const ENDED = 'ended';
/** The user is logging out: what ends now ends for that. */
let leaving = false;

/** Who is logged in; asks with the form until somebody is. `show` begins what is behind it. */
export async function enter(show) {
  const session = await ask('/session').catch(() => null);
  if (session === null) tell(texts.common.lost);
  else if (session.login !== null) return begin(session, show);
  const form = byId('log-in-form');
  const failure = byId('log-in-failure');
  byId('log-in').hidden = false;
  if (cameBack()) failure.textContent = texts.common.ended;
  byId('login').focus();
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    failure.textContent = '';
    const submit = form.querySelector('button');
    submit.disabled = true;
    try {
      await ask('/log-in', { method: 'POST', body: { login: byId('login').value, password: byId('password').value } });
      byId('password').value = '';
      byId('log-in').hidden = true;
      begin(await ask('/session'), show);
    } catch (error) {
      failure.textContent = whyNot(error);
      byId('password').focus();
    } finally {
      submit.disabled = false;
    }
  });
}

function whyNot({ status, code, details }) {
  if (status === 401) return texts.logIn.wrong;
  if (code !== 'banned') return texts.logIn.unavailable;
  const { of, until, reason } = details;
  const why = reason === '' ? '' : ` ${say(texts.logIn.bannedWhy, { reason: sentence(reason) })}`;
  return say(texts.logIn.banned[of], { until: timeOf(until) }) + why;
}

function begin(session, show) {
  byId('who').textContent = session.login;
  const out = byId('log-out');
  out.hidden = false;
  out.addEventListener('click', async () => {
    leaving = true;
    await ask('/log-out', { method: 'POST' }).catch(() => {});
    location.reload();
  });
  if (session.operator) byId('to-operator').hidden = false;
  byId('content').hidden = false;
  show(session);
}

/** Is the user still logged in, and still what the page is for? If not, the page begins anew, and says why. */
export async function checkStillIn(isFor = () => true) {
  const session = leaving ? null : await ask('/session').catch(() => null);
  if (leaving || session === null || (session.login !== null && isFor(session))) return;
  sessionStorage.setItem(ENDED, 'yes');
  location.reload();
}

/** Whether the page before this one ended by itself; once. */
export function cameBack() {
  const came = sessionStorage.getItem(ENDED) !== null;
  sessionStorage.removeItem(ENDED);
  return came;
}

export const isLeaving = () => leaving;
