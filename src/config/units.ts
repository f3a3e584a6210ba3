/** Names of units, from the smallest to the largest, and how much of the number in the configuration each one is. */
export type Units = readonly (readonly [name: string, size: number])[];

export const durations: Units = [
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
];

export const sizes: Units = [
  ['B', 1],
  ['KiB', 1024],
  ['MiB', 1024 ** 2],
  ['GiB', 1024 ** 3],
];

/** The number that `14d` or `16MiB` stands for; anything else is returned as it came. */
export function readUnits(value: unknown, units: Units): unknown {
  const [, amount, unit] = /^(\d+(?:\.\d+)?) ?([a-zA-Z]+)$/.exec(typeof value === 'string' ? value : '') ?? [];
  const size = units.find(([name]) => name === unit)?.[1];
  return size === undefined ? value : Math.round(Number(amount) * size * 1e6) / 1e6;
}

/** The number in the largest unit of which it is a multiple: `14d`, `16MiB`; 0 needs none. */
export function writeUnits(value: number, units: Units): string {
  const found = units.findLast(([, size]) => value >= size && value % size === 0);
  return found === undefined ? String(value) : `${value / found[1]}${found[0]}`;
}
