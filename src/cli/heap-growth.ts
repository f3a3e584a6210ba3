import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** The old generation is collected when it has grown by so much since the last time. V8 allows up to four times that. */
const OLD_PERCENT = 40;
/**
 * But not before it has so much. V8 counts as growth also what lies outside the heap and belongs to objects that are
 * young still, as received bytes do: up to 32 MiB, which a collection of the young generation frees. A small heap with an
 * allowance of less is collected as a whole again and again, for nothing (bench row "QoS 0, 4000 bytes": 2.4 times the
 * CPU).
 */
const OLD_BYTES = 64 * 1024 * 1024;
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
  const set = { oldPercent: 0, growing: true };
  const restrain = () => {
    const spaces = getHeapSpaceStatistics();
    const young = spaces.find(({ space_name: name }) => name === 'new_space')!;
    const oldBytes = spaces.reduce((sum, { space_used_size: bytes }) => sum + bytes, 0) - young.space_used_size;
    const oldPercent = Math.max(OLD_PERCENT, Math.round((OLD_BYTES / oldBytes - 1) * 100));
    if (oldPercent !== set.oldPercent) setFlagsFromString(`--heap-growing-percent=${oldPercent}`);
    // What a half can hold, as the other half is given back at times: the size of both tells nothing then.
    const halfBytes = young.space_used_size + young.space_available_size;
    const growing = 2 * (2 * halfBytes) <= YOUNG_BYTES;
    if (growing !== set.growing) setFlagsFromString(`--semi-space-growth-factor=${growing ? 2 : 1}`);
    set.oldPercent = oldPercent;
    set.growing = growing;
  };
  restrain();
  const observer = new PerformanceObserver(restrain);
  observer.observe({ entryTypes: ['gc'] });
  return { close: () => observer.disconnect() };
}
