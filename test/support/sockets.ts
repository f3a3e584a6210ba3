/** TCP sockets of this process that are open, connecting ones included. */
export function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap' || name === 'TLSWrap').length;
}

/** Waits until no more sockets are open than `count`; rejects when some stay. */
export async function socketsDownTo(count: number, timeoutMs = 3_000): Promise<void> {
  for (const untilMs = Date.now() + timeoutMs; openSockets() > count; ) {
    if (Date.now() > untilMs) throw new Error(`${openSockets()} sockets are open, there should be ${count}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Where something made for a test is registered to be taken down. */
export interface Scope {
  after(takeDown: () => unknown): void;
}

/** A test that has to leave no socket behind: what was made last is taken down first, then the sockets are counted. */
export function leavingNoSocket(body: (scope: Scope) => Promise<void>): () => Promise<void> {
  return async () => {
    const before = openSockets();
    const takeDowns: (() => unknown)[] = [];
    try {
      await body({ after: (takeDown) => takeDowns.unshift(takeDown) });
    } finally {
      for (const takeDown of takeDowns) await takeDown();
    }
    await socketsDownTo(before);
  };
}
