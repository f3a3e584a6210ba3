import type { Audit } from '../admin/audit.js';
import { type Answer, json, type Sink } from '../admin/route.js';
import { type Answerer, auditAnswer, codeOf, problem, type ReceivedRequest } from '../admin/router.js';
import { shardOf } from '../shard.js';
import { mergeAnswers } from './merge.js';
import { mergeMetrics } from './merge-metrics.js';
import type { Shard } from './shard.js';

type JsonAnswer = Extract<Answer, { kind: 'json' }>;
type TextAnswer = Extract<Answer, { kind: 'text' }>;
type StreamAnswer = Extract<Answer, { kind: 'stream' }>;

/**
 * Answers operators for all shards: what is about one login, or one connection, is asked of its shard, and everything else
 * of all of them, whose answers are put together. What a shard that does not answer would have said is missing, and said
 * to be.
 */
export class Relay implements Answerer {
  readonly #shards: readonly Shard[];
  readonly #audit: Audit;
  readonly #own: (received: ReceivedRequest) => Promise<Answer | null>;

  /** `own` answers what is about the shards themselves; null: it is not. */
  constructor(shards: readonly Shard[], audit: Audit, own: (received: ReceivedRequest) => Promise<Answer | null>) {
    this.#shards = shards;
    this.#audit = audit;
    this.#own = own;
  }

  async answer(received: ReceivedRequest): Promise<Answer> {
    const answer = await this.#answer(received);
    auditAnswer(this.#audit, received, answer);
    return answer;
  }

  async #answer(received: ReceivedRequest): Promise<Answer> {
    const own = await this.#own(received);
    if (own !== null) return own;
    const url = new URL(received.url, 'http://localhost');
    if (url.pathname === '/v1/audit' && received.method === 'GET') {
      const lines = Math.min(1_000, Number(url.searchParams.get('limit') ?? 100) || 100);
      return json({ entries: await this.#audit.tail(lines) });
    }
    const one = ownerOf(url, received.body, this.#shards.length);
    if (one !== null) return this.#shards[one]!.answer(received);
    const answers = await Promise.all(this.#shards.map((shard) => shard.answer(received)));
    return together(url, answers);
  }
}

/** The shard that a request is about; null: all of them. */
export function ownerOf(url: URL, body: string | null, shards: number): number | null {
  const [, , kind, name] = url.pathname.split('/');
  if (kind === 'users' && name !== undefined && name !== '') return shardOf(decoded(name), shards);
  if ((kind === 'connections' || kind === 'traces') && /^\d{1,15}$/.test(name ?? '')) return Number(name) % shards;
  const login = url.searchParams.get('login') ?? loginIn(body);
  return login === null ? null : shardOf(login, shards);
}

function together(url: URL, answers: readonly Answer[]): Answer {
  const missing = answers.flatMap((answer, shard) => (isDown(answer) && !isStandby(answer) ? [shard] : []));
  const heard = answers.filter((answer) => !isDown(answer));
  if (heard.length === 0) return answers[0] ?? problem(503, 'shard-down', 'no shard answers');
  // Something that has an id is at one shard, and the others say that there is no such thing.
  const good = heard.filter((answer) => answer.kind !== 'json' || answer.status < 400);
  if (good.length === 0) return heard[0]!;
  const streams = good.filter((answer): answer is StreamAnswer => answer.kind === 'stream');
  if (streams.length > 0) return streams.length === 1 ? streams[0]! : inOne(streams);
  // What is decided for a group is decided at each shard, and the same.
  if (url.pathname.startsWith('/v1/groups/')) return good[0]!;
  // Numbers for Prometheus, as those of /metrics.
  if (good.every((answer) => answer.kind === 'text')) return inOneText(answers);
  const values = good.filter((answer): answer is JsonAnswer => answer.kind === 'json').map(({ value }) => value);
  if (values.length === 0 || !values.every((value) => typeof value === 'object' && value !== null)) return good[0]!;
  return json(mergeAnswers(url, values as Record<string, unknown>[], missing));
}

const isDown = (answer: Answer) => answer.kind === 'json' && answer.status === 503;
const isStandby = (answer: Answer) => answer.kind === 'json' && codeOf(answer.value) === 'shard-standby';

function inOneText(answers: readonly Answer[]): Answer {
  const texts = answers.flatMap((answer, shard): [string, string][] =>
    answer.kind === 'text' ? [[String(shard), answer.text]] : [],
  );
  const { type } = answers.find((answer): answer is TextAnswer => answer.kind === 'text')!;
  return { kind: 'text', type, text: mergeMetrics(new Map(texts), '') };
}

/** Lines of all of them, as they come. */
function inOne(streams: readonly StreamAnswer[]): Answer {
  return {
    ...streams[0]!,
    begin(sink) {
      const gone: (() => void)[] = [];
      let open = streams.length;
      sink.onClose(() => {
        for (const tell of gone) tell();
      });
      const part: Sink = {
        get unsentBytes() {
          return sink.unsentBytes;
        },
        write: (text) => sink.write(text),
        end() {
          open--;
          if (open === 0) sink.end();
        },
        onClose: (tell) => gone.push(tell),
      };
      for (const stream of streams) stream.begin(part);
    },
  };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function loginIn(body: string | null): string | null {
  try {
    const { login } = JSON.parse(body ?? '{}') as { login?: unknown };
    return typeof login === 'string' ? login : null;
  } catch {
    return null;
  }
}
