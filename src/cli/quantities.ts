const steps: readonly (readonly [ms: number, unit: string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'm'],
  [1_000, 's'],
];

/** How long something is, in its two largest units: `3d 4h`, `12s`. */
export function duration(ms: number): string {
  const first = steps.findIndex(([unitMs]) => ms >= unitMs);
  if (first === -1) return `${Math.max(0, Math.round(ms))}ms`;
  const [largeMs, large] = steps[first]!;
  const text = `${Math.floor(ms / largeMs)}${large}`;
  const next = steps[first + 1];
  if (next === undefined) return text;
  const rest = Math.floor((ms % largeMs) / next[0]);
  return rest === 0 ? text : `${text} ${rest}${next[1]}`;
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** A number of bytes for people: `312 B`, `4.2 MiB`. */
export function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** `1 user`, `2 users`. */
export const many = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
