/** One thing that was tried, in words for the operator. Null: neither good nor bad, but worth knowing. */
export interface CheckStep {
  readonly ok: boolean | null;
  readonly text: string;
}

export interface CheckedLogin {
  readonly login: string;
  readonly password: string;
}

export function good(text: string): CheckStep {
  return { ok: true, text };
}

export function bad(text: string): CheckStep {
  return { ok: false, text };
}

export function note(text: string): CheckStep {
  return { ok: null, text };
}
