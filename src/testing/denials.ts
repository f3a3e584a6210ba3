import { topicMatchesFilter } from '../mqtt/topics.js';
import type { Denial, Refusal } from '../observe/history.js';
import { refusalInWords } from '../observe/in-words.js';
import type { DenialScope, SeenDenial } from './api.js';
import { isAmong } from './clients.js';

/** More different ones than a test makes on purpose. */
const kept = 10_000;

/** What was denied, dropped and refused, oldest first; what is repeated is there once, with its count. */
export class DenialLog {
  /** By the broker's own records, which are one for all that repeat. */
  readonly #seen = new Map<Denial | Refusal, SeenDenial>();

  denied(record: Denial): void {
    const { login, clientId, action, topic, reason, hint } = record;
    this.#keep(record, { login, clientId: clientId === '' ? null : clientId, action, topic, reason, hint });
  }

  refused(record: Refusal): void {
    const { login, clientId, reason } = record;
    const hint = refusalInWords(reason);
    this.#keep(record, { login, clientId, action: 'connect', topic: null, reason, hint });
  }

  matching(scope: DenialScope): SeenDenial[] {
    return [...this.#seen.values()].filter((denial) => isWanted(denial, scope));
  }

  clear(): void {
    this.#seen.clear();
  }

  #keep(record: Denial | Refusal, denial: Omit<SeenDenial, 'count' | 'timeMs'>): void {
    this.#seen.set(record, { ...denial, count: record.count, timeMs: record.lastAt });
    if (this.#seen.size > kept) this.#seen.delete(this.#seen.keys().next().value!);
  }
}

function isWanted(denial: SeenDenial, { login, clientId, action, topic, reason }: DenialScope): boolean {
  const whose = { login: denial.login ?? '', clientId: denial.clientId ?? '' };
  if (!isAmong(whose, { login, clientId })) return false;
  if (action !== undefined && denial.action !== action) return false;
  if (reason !== undefined && denial.reason !== reason) return false;
  // A filter that was denied is named as it is; it is no topic that another one could match.
  return (
    topic === undefined || denial.topic === topic || (denial.topic !== null && topicMatchesFilter(denial.topic, topic))
  );
}

/** Lines for somebody who wonders what went wrong. */
export function describeDenials(denials: readonly SeenDenial[]): string[] {
  if (denials.length === 0) return ['Nothing was denied or refused.'];
  return [
    'Denied and refused:',
    ...denials.map(({ login, clientId, action, topic, hint, count }) => {
      const who = [login ?? 'somebody', ...(clientId === null ? [] : [JSON.stringify(clientId)])].join(' ');
      return `  ${count} × ${action}${topic === null ? '' : ` ${topic}`} (${who}): ${hint}`;
    }),
  ];
}
