import type { ChildProcess } from 'node:child_process';
import type { HealthState } from '../admin/health.js';
import type { Answer, Sink } from '../admin/route.js';
import { problem, type ReceivedRequest } from '../admin/router.js';
import type { Clock } from '../clock.js';
import type { Log } from '../observe/log.js';
import { Child } from './child.js';
import type { Question, SentAnswer, Word } from './link.js';

const ANSWER_TIMEOUT_MS = 10_000;
/** Of what is asked for everybody all the time: whoever asks gives up soon himself. */
const PROBE_TIMEOUT_MS = 2_000;
/** Of a shard that left a question without an answer, until it says something again. */
const SILENT_TIMEOUT_MS = 200;
/** How often the reader of a stream is looked at, while it has something in front of it. */
const READER_PERIOD_MS = 100;

interface Asked {
  readonly answered: (word: Word | null) => void;
  /** Of a stream, once somebody reads it. */
  sink: Sink | null;
  readonly before: string[];
  /** What came of a stream, and was not said to be taken. */
  owed: number;
}

export interface ShardOptions {
  readonly shard: number;
  /** Node.js's arguments and those of the command. */
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly stopTimeoutMs: number;
  readonly leastPauseMs: number;
  readonly log: Log;
  readonly clock: Clock;
}

/** The process of one shard's broker, as its supervisor has it: kept running, and asked. */
export class Shard {
  readonly number: number;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #child: Child;
  readonly #asked = new Map<number, Asked>();
  #process: ChildProcess | null = null;
  #serving = false;
  #standby = false;
  #silent = false;
  #since: string | null = null;
  #lastId = 0;
  #onInPlace: (() => void)[] = [];

  constructor({ shard, args, env, stopTimeoutMs, leastPauseMs, log, clock }: ShardOptions) {
    this.number = shard;
    this.#clock = clock;
    this.#log = log;
    this.#child = new Child({
      ...{ name: `shard ${shard}`, command: process.execPath, args, stopTimeoutMs, leastPauseMs, log, clock },
      spawn: { env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
      onSpawned: (child) => this.#spawned(child),
      onExit: () => this.#gone(),
    });
  }

  /** Whether clients can connect. */
  get serving(): boolean {
    return this.#serving;
  }

  /** Whether it waits for the end of the shard's broker on another machine. */
  get standby(): boolean {
    return this.#standby;
  }

  /** Whether it serves and yet leaves questions without an answer: it is frozen, or has far too much to do. */
  get silent(): boolean {
    return this.#silent;
  }

  get pid(): number | null {
    return this.#child.pid;
  }

  /** When it began to serve. */
  get since(): string | null {
    return this.#since;
  }

  /** Resolves when it serves or stands by. */
  start(): Promise<void> {
    return this.#child.start(this.#inPlace());
  }

  stop(): Promise<void> {
    return this.#child.stop();
  }

  restart(): Promise<void> {
    return this.#child.restart(() => this.#inPlace());
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.signal(signal);
  }

  /** Null: it does not answer. */
  async health(): Promise<HealthState | null> {
    const word = await this.#ask((id) => ({ id, kind: 'health' }), PROBE_TIMEOUT_MS);
    return word?.kind === 'health' ? word.health : null;
  }

  metrics(accept: string): Promise<Answer> {
    return this.#answer((id) => ({ id, kind: 'metrics', accept }), PROBE_TIMEOUT_MS);
  }

  answer(received: ReceivedRequest): Promise<Answer> {
    return this.#answer((id) => ({ id, kind: 'admin', received }), ANSWER_TIMEOUT_MS);
  }

  async #answer(question: (id: number) => Question, timeoutMs: number): Promise<Answer> {
    const id = this.#lastId + 1;
    const word = await this.#ask(question, timeoutMs);
    if (word?.kind !== 'answer') {
      return this.#standby
        ? problem(503, 'shard-standby', `shard ${this.number} is served by another machine: ask there`)
        : problem(503, 'shard-down', `shard ${this.number} does not answer: it is starting, or its log says why not`);
    }
    return this.#received(id, word.answer);
  }

  #received(id: number, answer: SentAnswer): Answer {
    if (answer.kind !== 'stream') return answer;
    return {
      ...answer,
      begin: (sink) => {
        const asked = this.#asked.get(id);
        if (asked === undefined) return sink.end();
        asked.sink = sink;
        for (const text of asked.before.splice(0)) sink.write(text);
        sink.onClose(() => {
          this.#asked.delete(id);
          this.#send({ id, kind: 'gone' });
        });
      },
    };
  }

  #ask(question: (id: number) => Question, timeoutMs: number): Promise<Word | null> {
    const id = ++this.#lastId;
    if (!this.#serving) return Promise.resolve(null);
    return new Promise((resolve) => {
      const cancel = this.#clock.after(this.#silent ? SILENT_TIMEOUT_MS : timeoutMs, () => {
        if (!this.#silent) this.#log.warn({ shard: this.number, pid: this.pid, timeoutMs }, 'shard does not answer');
        this.#silent = true;
        answered(null);
      });
      const answered = (word: Word | null) => {
        cancel();
        if (word?.kind !== 'answer' || word.answer.kind !== 'stream') this.#asked.delete(id);
        resolve(word);
      };
      this.#asked.set(id, { answered, sink: null, before: [], owed: 0 });
      this.#send(question(id));
    });
  }

  #send(question: Question): void {
    // A process that is just ending takes nothing more; its exit answers for it.
    this.#process?.send(question, () => {});
  }

  #spawned(child: ChildProcess): void {
    this.#process = child;
    child.on('message', (word) => this.#heard(word as Word));
  }

  #heard(word: Word): void {
    if (this.#silent) this.#log.info({ shard: this.number, pid: this.pid }, 'shard answers again');
    this.#silent = false;
    if (word.kind === 'standby') {
      this.#standby = true;
      this.#log.info({ shard: this.number, pid: this.pid }, 'shard stands by');
      for (const waiting of this.#onInPlace.splice(0)) waiting();
      return;
    }
    if (word.kind === 'serving') {
      this.#serving = true;
      this.#standby = false;
      this.#since = new Date(this.#clock.epochMs()).toISOString();
      this.#log.info({ shard: this.number, pid: this.pid }, 'shard serves');
      for (const waiting of this.#onInPlace.splice(0)) waiting();
      return;
    }
    const asked = this.#asked.get(word.id);
    if (asked === undefined) return;
    if (word.kind === 'part') {
      if (asked.sink === null) asked.before.push(word.text);
      else asked.sink.write(word.text);
      asked.owed += word.text.length;
      if (asked.owed === word.text.length) this.#tellTaken(word.id, asked);
    } else if (word.kind === 'end') {
      this.#asked.delete(word.id);
      asked.sink?.end();
    } else asked.answered(word);
  }

  /** Says what the reader of a stream has taken, so that its writer knows what lies in front of a slow one. */
  #tellTaken(id: number, asked: Asked): void {
    const { sink, owed } = asked;
    const left = sink === null ? owed : Math.min(owed, sink.unsentBytes);
    asked.owed = left;
    if (owed > left) this.#send({ id, kind: 'taken', length: owed - left });
    if (left === 0) return;
    this.#clock.after(READER_PERIOD_MS, () => {
      if (this.#asked.get(id) === asked) this.#tellTaken(id, asked);
    });
  }

  #gone(): void {
    this.#process = null;
    this.#silent = false;
    this.#serving = false;
    this.#standby = false;
    this.#since = null;
    for (const [id, asked] of this.#asked) {
      this.#asked.delete(id);
      asked.answered(null);
      asked.sink?.end();
    }
  }

  #inPlace(): Promise<void> {
    return new Promise((resolve) => this.#onInPlace.push(resolve));
  }
}
