import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BrokerParts } from './broker-parts.js';

/** What was received is handled and, where it must be, on disk and answered; then every connection ends. */
export async function drain({ store, connections, scheduler }: BrokerParts): Promise<void> {
  await nextTurn();
  await new Promise<void>((resolve) => store.committed(() => resolve()));
  await nextTurn();
  const closed = [...connections].map(({ socket }) => new Promise<void>((resolve) => socket.once('close', resolve)));
  for (const connection of connections) connection.closeHandled('broker-stopping');
  await Promise.all(closed);
  await scheduler.whenIdle();
}

/** Waits for `work`, but no longer than `timeoutMs`. */
export async function withDeadline(work: Promise<void> | void, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([work, deadline]).finally(() => clearTimeout(timer));
}
