import type { CredentialBackend, Verdict } from '../../src/credentials/backend.js';

export interface ScriptedBackend extends CredentialBackend {
  readonly users: Map<string, string>;
  /** Every question so far, in the order they were put. */
  readonly asked: { readonly login: string; readonly password: string }[];
  /** The most questions that were open at the same time. */
  readonly mostOpen: number;
  /** Replaces the answer; null for the usual one. */
  script: ((login: string, password: string, signal: AbortSignal) => Promise<Verdict>) | null;
  revoke(login: string): void;
  readonly closed: boolean;
}

/** A backend for tests of what stands before it: counts its questions, and answers as it is told. */
export function scriptedBackend(users: Iterable<[string, string]> = [['alice', 'secret one!']]): ScriptedBackend {
  const listeners: ((login: string) => void)[] = [];
  const known = new Map(users);
  let open = 0;
  let mostOpen = 0;
  let closed = false;
  const backend: ScriptedBackend = {
    name: 'scripted',
    users: known,
    asked: [],
    script: null,
    get mostOpen() {
      return mostOpen;
    },
    get closed() {
      return closed;
    },
    async verify(login, password, signal) {
      backend.asked.push({ login, password });
      open += 1;
      mostOpen = Math.max(mostOpen, open);
      try {
        if (backend.script !== null) return await backend.script(login, password, signal);
        return backend.users.get(login) === password
          ? { accepted: true, login, proof: `proof ${password.length}` }
          : { accepted: false, reason: known.has(login) ? 'wrong-password' : 'unknown-user' };
      } finally {
        open -= 1;
      }
    },
    revalidate: async (login) => known.has(login),
    onRevoked: (listener) => void listeners.push(listener),
    revoke: (login) => {
      for (const listener of listeners) listener(login);
    },
    close: async () => {
      closed = true;
    },
  };
  return backend;
}
