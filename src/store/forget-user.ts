import type { RetainedMessage, Store } from './contract.js';

/** What was kept of a login, and is not any more. */
export interface ForgottenRows {
  readonly sessions: number;
  readonly messages: number;
  readonly wills: number;
  readonly retained: number;
  /** What an operator had decided about its limits. */
  readonly limits: boolean;
}

/** Takes everything of a login out of a store that no broker has open. Resolves when it is off the disk. */
export async function forgetUser(
  store: Store,
  login: string,
  isOwn: (message: RetainedMessage) => boolean,
): Promise<ForgottenRows> {
  const sessions: string[] = [];
  let messages = 0;
  // To the end: only then does the store know everything that it has.
  for await (const { session, outgoing } of store.loadSessions()) {
    if (session.login !== login) continue;
    sessions.push(session.clientId);
    messages += outgoing.length;
  }
  for (const clientId of sessions) store.session(clientId).remove();
  const wills: string[] = [];
  for await (const will of store.loadWills()) if (will.login === login) wills.push(will.clientId);
  for (const clientId of wills) store.deleteWill(clientId);
  const retained = [...store.retained].filter(isOwn);
  for (const { topic } of retained) store.retained.delete(topic);
  let limits = false;
  for await (const [name, { override }] of store.loadUsers()) if (name === login) limits = override !== undefined;
  store.deleteUser(login);
  await store.swept();
  return { sessions: sessions.length, messages, wills: wills.length, retained: retained.length, limits };
}
