import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BrokerParts } from './broker-parts.js';
import type { Config } from './config/config.js';

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

/** Longer than HAProxy takes to see that nobody listens any more. */
const LEAVE_MS = 500;

/**
 * Where a standby takes over, HAProxy takes the clients away once nobody listens any more. Closed before it knows, they
 * would come back to a broker that is gone, and it would try for a while to hand them over to it.
 */
export async function untilLeft({ connections }: BrokerParts, { machines }: Config['cluster']): Promise<void> {
  if (machines.length < 2) return;
  const left = [...connections].map(({ socket }) => new Promise<void>((resolve) => socket.once('close', resolve)));
  await withDeadline(
    Promise.all(left).then(() => {}),
    LEAVE_MS,
  );
}

/** Waits for `work`, but no longer than `timeoutMs`. */
export async function withDeadline(work: Promise<void> | void, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  await Promise.race([work, deadline]).finally(() => clearTimeout(timer));
}
