import type { CredentialBackend, Verdict } from '../credentials/backend.js';
import type { TestUsers } from './api.js';
import type { FaultBoard } from './fault-board.js';

/** What the harness keeps of its users are the passwords themselves: no time is spent on hashing. */
export class MutableUsers implements TestUsers {
  readonly #passwords: Map<string, string>;
  readonly #listeners = new Set<(login: string) => void>();

  constructor(users: Readonly<Record<string, string>>) {
    this.#passwords = new Map(Object.entries(users));
  }

  get logins(): string[] {
    return [...this.#passwords.keys()];
  }

  passwordOf(login: string): string {
    const password = this.#passwords.get(login);
    if (password === undefined) {
      throw new Error(`There is no user ${JSON.stringify(login)}; there are: ${this.logins.join(', ') || 'none'}`);
    }
    return password;
  }

  set(login: string, password: string): void {
    if (this.#passwords.get(login) === password) return;
    this.#passwords.set(login, password);
    for (const listener of this.#listeners) listener(login);
  }

  remove(login: string): void {
    if (!this.#passwords.delete(login)) return;
    for (const listener of this.#listeners) listener(login);
  }

  /** A credential backend for one run of a broker. */
  backend(faults: FaultBoard): CredentialBackend {
    const mine = new Set<(login: string) => void>();
    return {
      name: 'testing',
      verify: async (login, password, signal): Promise<Verdict> => {
        await faults.credentials(login, signal);
        const expected = this.#passwords.get(login);
        if (expected === undefined) return { accepted: false, reason: 'unknown-user' };
        if (expected !== password) return { accepted: false, reason: 'wrong-password' };
        return { accepted: true, login, proof: { login, password } };
      },
      revalidate: async (login, proof, signal) => {
        await faults.credentials(login, signal);
        return this.#passwords.get(login) === (proof as { password: string }).password;
      },
      onRevoked: (listener) => {
        mine.add(listener);
        this.#listeners.add(listener);
      },
      close: async () => {
        for (const listener of mine) this.#listeners.delete(listener);
      },
    };
  }
}
