import { request } from 'node:http';
import { atPace, type Lane, type Span } from './lane.js';
import type { Target } from './link.js';

const everyMs = 500;
const timeoutMs = 5_000;

/** What a supervisor asks twice a second: from the question to the end of the answer, whatever that says. */
export function healthLane({ host, adminPort }: Target): Lane {
  const spans: Span[] = [];
  const open = new Set<Promise<void>>();
  let pause = () => {};
  const ask = async () => {
    const fromMs = performance.now();
    await new Promise<void>((resolve) => {
      const asking = request({ host, port: adminPort, path: '/health', agent: false }, (response) => {
        response.resume().once('close', resolve);
      });
      const timer = setTimeout(() => asking.destroy(), timeoutMs);
      // One that is turned away, or not answered at all, counts as one that took that long.
      asking.once('error', () => setTimeout(resolve, fromMs + timeoutMs - performance.now()));
      asking.once('close', () => clearTimeout(timer));
      asking.end();
    });
    spans.push({ fromMs, toMs: performance.now() });
  };
  return {
    name: 'health',
    spans,
    harm: { lost: 0, reordered: 0, closed: 0 },
    async start() {
      pause = atPace(everyMs, () => {
        const asked: Promise<void> = ask().finally(() => open.delete(asked));
        open.add(asked);
      });
    },
    async stop() {
      pause();
      await Promise.all(open);
    },
  };
}
