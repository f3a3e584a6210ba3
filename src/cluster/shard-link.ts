import type { HealthState } from '../admin/health.js';
import type { Answer, Sink } from '../admin/route.js';
import type { ReceivedRequest } from '../admin/router.js';
import type { Question, Word } from './link.js';

/** What a broker answers to operators. */
export interface Operator {
  answer(received: ReceivedRequest): Promise<Answer>;
  health(): HealthState;
  metrics(accept: string): Promise<Answer>;
}

/** The process's channel to the one that started it. */
export interface Channel {
  send?: ((word: Word, ...more: [undefined, undefined, (error: Error | null) => void] | []) => boolean) | undefined;
  on(event: 'message', listener: (question: Question) => void): unknown;
  once(event: 'disconnect', listener: () => void): unknown;
}

/** Says that clients can connect, and answers the supervisor from then on. */
export function answerSupervisor(channel: Channel, operator: Operator): void {
  /** Of streams that are read, what ends them. */
  const streams = new Map<number, () => void>();
  /** What has been written to a stream and its reader has not taken: the supervisor keeps it meanwhile. */
  const untaken = new Map<number, number>();
  const say = (word: Word) => channel.send?.(word, undefined, undefined, () => {});

  function sinkOf(id: number): Sink {
    let over = false;
    const close = () => {
      over = true;
      streams.delete(id);
      untaken.delete(id);
    };
    untaken.set(id, 0);
    return {
      get unsentBytes() {
        return untaken.get(id) ?? 0;
      },
      write(text) {
        if (over) return;
        untaken.set(id, untaken.get(id)! + text.length);
        say({ kind: 'part', id, text });
      },
      end() {
        close();
        say({ kind: 'end', id });
      },
      onClose(gone) {
        streams.set(id, () => {
          close();
          gone();
        });
      },
    };
  }

  function sendAnswer(id: number, answer: Answer): void {
    if (answer.kind !== 'stream') {
      say({ kind: 'answer', id, answer });
      return;
    }
    say({ kind: 'answer', id, answer: { kind: 'stream', type: answer.type } });
    answer.begin(sinkOf(id));
  }

  channel.on('message', (question) => {
    const { id } = question;
    if (question.kind === 'health') say({ kind: 'health', id, health: operator.health() });
    else if (question.kind === 'gone') streams.get(id)?.();
    else if (question.kind === 'taken') {
      const left = untaken.get(id);
      if (left !== undefined) untaken.set(id, left - question.length);
    } else {
      const answer = question.kind === 'admin' ? operator.answer(question.received) : operator.metrics(question.accept);
      answer.then(
        (it) => sendAnswer(id, it),
        (error: Error) => {
          const value = { error: { code: 'internal', message: error.message } };
          say({ kind: 'answer', id, answer: { kind: 'json', status: 500, value } });
        },
      );
    }
  });
  say({ kind: 'serving' });
}
