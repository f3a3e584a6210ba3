/**
 * Who is it? Every credential backend (file, LDAP, API) answers this one question. The contract suite in
 * test/contract/credential-backend.ts runs against each of them.
 */
export interface CredentialBackend {
  /** `file`, `ldap` or `api`: for log lines. */
  readonly name: string;

  /** So many questions at a time are enough for it, where `credentials.concurrency` would allow more. */
  readonly concurrency?: number;

  /**
   * May this login, which does not match `credentials.loginPattern`, be asked for all the same (an e-mail address that
   * is mapped to the login)? Absent: never. The canonical login of an accepted verdict must match the pattern.
   */
  acceptsLogin?(login: string): boolean;

  /**
   * Checks one login and password. Resolves with a verdict for every input, however hostile; rejects with a `Fault`
   * (an outage, never a refusal) when the question could not be answered. Gives up when `signal` aborts.
   */
  verify(login: string, password: string, signal: AbortSignal): Promise<Verdict>;

  /**
   * Is a session that was accepted earlier still entitled? `proof` is what `verify` handed out. Resolves with `false`
   * when the account was removed, disabled or given a new password; rejects with a `Fault` on an outage.
   */
  revalidate(login: string, proof: unknown, signal: AbortSignal): Promise<boolean>;

  /**
   * The groups of an account that exists, asked without its password. Absent: the backend knows of no groups. Rejects
   * with a `Fault` on an outage.
   */
  groupsOf?(login: string, signal: AbortSignal): Promise<readonly string[]>;

  /**
   * Is there such an account, and which are its groups? Asked without its password. `exists` null: it cannot be told.
   * Absent: the backend can tell of nobody. Rejects with a `Fault` on an outage.
   */
  lookUp?(login: string, signal: AbortSignal): Promise<LookedUp>;

  /** The first `most` logins that contain this, of those that may log in. Absent: the backend cannot list its users. */
  find?(part: string, most: number): readonly string[];

  /** Calls back with the canonical login and the groups of each account whose groups changed, where it can tell. */
  onGroups?(listener: (login: string, groups: readonly string[]) => void): void;

  /** Calls back with the canonical login of each account that stopped being entitled, where the backend can tell. */
  onRevoked(listener: (login: string) => void): void;

  /** Looks now at what it keeps a copy of. Absent: it keeps none. */
  refresh?(): Promise<void>;

  /** Lets go of sockets, files and timers. No verdict is given afterwards. */
  close(): Promise<void>;
}

/** What is known of a login without its password. */
export interface LookedUp {
  readonly exists: boolean | null;
  /** Null: not known. */
  readonly groups: readonly string[] | null;
}

export type Verdict =
  | {
      readonly accepted: true;
      /** The canonical login: the user's tree is `iotlab/<login>`, whatever was typed to log in (an e-mail, say). */
      readonly login: string;
      /** Opaque; kept with the session and given back to `revalidate`. Never logged. */
      readonly proof: unknown;
      /** The user's groups, where the backend knows of any. */
      readonly groups?: readonly string[];
    }
  | {
      readonly accepted: false;
      /** For the log only; the client always sees the same refusal. */
      readonly reason: RefusalReason;
      /** How much later to tell, so that the time does not tell that the password was not even looked at. */
      readonly delayMs?: number;
    };

export type RefusalReason =
  | 'unknown-user'
  | 'wrong-password'
  | 'no-password'
  | 'invalid-password'
  | 'no-login'
  | 'invalid-login'
  | 'disabled'
  | 'ambiguous'
  | 'throttled'
  /** What a page was given to connect with is good once, and not for long. */
  | 'used-ticket';
