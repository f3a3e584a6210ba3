import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** The old generation is collected when it has grown by so much since the last time. V8 allows up to four times that. */
const OLD_PERCENT = 40;
/**
 * The young generation grows no further than this, both halves taken together; V8 lets it grow to 32 MiB. What survives
 * in it is copied while everybody waits: 10 to 22 ms at that size under a flood, half of that at this one. At 8 MiB,
 * collecting that often cost the bench row "QoS 1, 10 users, 1 → 1" 5 %.
 */
const YOUNG_BYTES = 16 * 1024 * 1024;

/**
 * Keeps the process from holding more garbage than a broker needs to: V8 takes the machine for its own, and five users
 * who try made of 60 MB that were in use 120. Both are flags that V8 looks at whenever it decides, so that they need not
 * stand on a command line. For the process that serves, and not for one that has a broker inside.
 */
export function restrainHeapGrowth(): { close(): void } {
  setFlagsFromString(`--heap-growing-percent=${OLD_PERCENT}`);
  const young = getHeapSpaceStatistics().findIndex(({ space_name: name }) => name === 'new_space');
  let growing = true;
  const observer = new PerformanceObserver(() => {
    const wanted = getHeapSpaceStatistics()[young]!.space_size < YOUNG_BYTES;
    if (wanted === growing) return;
    growing = wanted;
    setFlagsFromString(`--semi-space-growth-factor=${growing ? 2 : 1}`);
  });
  observer.observe({ entryTypes: ['gc'] });
  return { close: () => observer.disconnect() };
}
