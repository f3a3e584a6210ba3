import { expositionFor, type Family } from '../observe/exposition.js';
import { gauge } from '../observe/families.js';
import type { AdminContext } from './context.js';
import { inSlices, type Steps } from './in-slices.js';
import { accessFamilies } from './metrics-access.js';
import { connectionFamilies } from './metrics-connections.js';
import { messageFamilies } from './metrics-messages.js';
import { type EventLoopLag, processFamilies } from './metrics-process.js';
import type { Answer } from './route.js';

/**
 * Totals for Prometheus. One answer is made at a time, in slices: requests that come meanwhile share the next one, so
 * that however many ask, it is never more work than that.
 */
export class Metrics {
  readonly #context: AdminContext;
  readonly #lag: EventLoopLag | null;
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<readonly Family[]> | null = null;

  constructor(context: AdminContext, lag: EventLoopLag | null) {
    this.#context = context;
    this.#lag = lag;
  }

  families(): Promise<readonly Family[]> {
    this.#next ??= this.#afterThis();
    return this.#next;
  }

  async answer(accept: string): Promise<Answer> {
    const families = await this.families();
    const exposition = expositionFor(accept);
    return { kind: 'text', type: exposition.contentType, text: exposition.write(families) };
  }

  async #afterThis(): Promise<readonly Family[]> {
    await this.#running;
    this.#next = null;
    const families = this.#context.storeBytes().then((bytes) => inSlices(this.#context.parts, this.#collect(bytes)));
    this.#running = families.catch(() => {});
    return families;
  }

  *#collect(storeBytes: number): Steps<readonly Family[]> {
    return [
      ...processFamilies(this.#context, this.#lag),
      ...(yield* connectionFamilies(this.#context)),
      ...(yield* messageFamilies(this.#context)),
      gauge(
        'store_size_bytes',
        'The store on disk; 0 where there is no folder: storage.path: memory, storage.url.',
        storeBytes,
      ),
      ...(yield* accessFamilies(this.#context)),
    ];
  }
}
