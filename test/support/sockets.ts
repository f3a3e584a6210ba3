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

/** For what is made for more than one test, or for none: takes down when told to, what was made last first. */
export function ownScope(): Scope & { close(): Promise<void> } {
  const takeDowns: (() => unknown)[] = [];
  return {
    after: (takeDown) => takeDowns.unshift(takeDown),
    async close() {
      for (const takeDown of takeDowns) await takeDown();
    },
  };
}

/** A test that has to leave no socket behind: what was made last is taken down first, then the sockets are counted. */
export function leavingNoSocket(body: (scope: Scope) => Promise<void>): () => Promise<void> {
  return async () => {
    const before = openSockets();
    const scope = ownScope();
    try {
      await body(scope);
    } finally {
      await scope.close();
    }
    await socketsDownTo(before);
  };
}
