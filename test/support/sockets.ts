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
