import type { Group, Program, Step, SubscribeStep, Tally, Text } from './program.js';

/** An attack that once worked, or could; and the same done modestly, which has to work. */
export interface Named {
  readonly attack: Program;
  readonly modest: Program;
}

/** Counts of connections and of what is set up, smaller where there is little time. */
export type Scale = (count: number) => number;
export const atStrength =
  (strength: number): Scale =>
  (count) =>
    Math.max(1, Math.round(count * strength));

export function program(name: string, about: string, seconds: number, ...groups: readonly Group[]): Program {
  return { name, about, seconds, groups };
}

/** No connection of it may be refused or closed, and the rest comes as given. */
export function modestly(expects: Partial<Tally>, ...groups: readonly Group[]): Program {
  return {
    name: 'modest',
    about: 'The same, done modestly.',
    seconds: 10,
    groups,
    expects: { refused: 0, closed: 0, denied: 0, ...expects },
  };
}

// Shorthand, so that a program reads like a list of steps.
export const group = (connections: number, ...steps: readonly Step[]): Group => ({ connections, steps });
export const forEver = (...steps: readonly Step[]): Step => ({ do: 'repeat', times: 1_000_000_000, steps });
export const connect: Step = { do: 'connect' };
export const answers: Step = { do: 'answers' };
export const disconnect: Step = { do: 'disconnect' };
export const cut: Step = { do: 'cut' };
export const meet = (at: string): Step => ({ do: 'meet', at });
export const wait = (seconds: number): Step => ({ do: 'wait', ms: seconds * 1_000 });
export const messages = (count: number): Step => ({ do: 'messages', count, withinMs: 5_000 });
export const subscribe = (filters: Text, more: Partial<SubscribeStep> = {}): Step => ({
  ...more,
  do: 'subscribe',
  filters,
});
export const unsubscribe = (filters: Text): Step => ({ do: 'unsubscribe', filters });
/** A persistent session: the client comes back as the same. */
export const connectAs = (id: Text): Step => ({ do: 'connect', id, clean: false });
/** Ends the session that `connectAs` made. */
export const forget = (id: Text): Step => ({ do: 'connect', id, clean: true });
