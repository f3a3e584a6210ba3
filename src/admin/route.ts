/** Through which door a request came, and so who may have sent it. */
export interface Caller {
  /** `socket`: whoever may open the socket's file. `port`: whoever has the token. `web`: who is logged in. */
  readonly door: 'socket' | 'port' | 'web';
  /** Who is logged in, at `web`. */
  readonly login?: string;
  /** Where from: an address, or nothing for the socket. */
  readonly address: string | null;
  /** The name that the program says its user has. Nobody vouches for it. */
  readonly claims: string | null;
}

export interface AdminRequest {
  /** By name, as in the route's path, decoded. */
  readonly params: Readonly<Record<string, string>>;
  /** Checked against the route's own list: a number where that says so, the default where there is one. */
  readonly query: Readonly<Record<string, string | number | undefined>>;
  /** What came as JSON; an empty object when nothing came. */
  readonly body: Readonly<Record<string, unknown>>;
  readonly caller: Caller;
}

/** What an answer streams to. Nobody waits for whoever reads it. */
export interface Sink {
  /** Bytes that were written and are not on their way yet: whoever writes more to a slow reader had better not. */
  readonly unsentBytes: number;
  write(text: string): void;
  end(): void;
  /** Calls back when the reader is gone. */
  onClose(gone: () => void): void;
}

export type Answer =
  | { readonly kind: 'json'; readonly status: number; readonly value: unknown }
  /** A text that is made already, perhaps in slices. */
  | { readonly kind: 'text'; readonly type: string; readonly text: string }
  | { readonly kind: 'stream'; readonly type: string; readonly begin: (sink: Sink) => void };

/** What a query may say, and with which word left out it says what. */
export type QueryParameter =
  | { readonly kind: 'text' }
  | { readonly kind: 'integer'; readonly min: number; readonly max: number; readonly otherwise: number }
  | { readonly kind: 'choice'; readonly words: readonly string[]; readonly otherwise: string };

export interface Route {
  /** GET changes nothing, ever. */
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Below `/v1`, with parameters in braces: `/users/{login}/limits`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, QueryParameter>>;
  readonly answer: (request: AdminRequest) => Answer | Promise<Answer>;
}

/** A request that is refused: the answer's status, a code that stays the same, and a sentence with the remedy. */
export class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = 'Refusal';
    this.status = status;
    this.code = code;
  }
}

export function json(value: unknown, status = 200): Answer {
  return { kind: 'json', status, value };
}

export function notFound(what: string): Refusal {
  return new Refusal(404, 'not-found', what);
}
