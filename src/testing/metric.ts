import { nearest } from '../config/nearest.js';
import type { Family, Labels } from '../observe/exposition.js';

const prefix = 'iotlab_broker_';

/** The sum of the samples with these labels, whatever others they have. Throws for a name that is none. */
export function sumOf(families: readonly Family[], name: string, labels: Labels): number {
  const [, base = name, part] = /^(.*)_(count|sum)$/.exec(name) ?? [];
  const found = families.find((family) => shortName(family) === name || shortName(family) === base);
  if (found === undefined) {
    const near = nearest(name, families.map(shortName));
    throw new RangeError(`there is no metric ${name}${near === undefined ? '' : `; did you mean ${near}?`}`);
  }
  const wanted = (own: Labels) => Object.entries(labels).every(([label, value]) => own[label] === value);
  if (found.type !== 'histogram') {
    return found.samples.reduce((sum, [own, value]) => sum + (wanted(own) ? value : 0), 0);
  }
  if (part === undefined) throw new RangeError(`${name} is a histogram: ask for ${name}_count or ${name}_sum`);
  const field = part === 'count' ? 'count' : 'sum';
  return found.samples.reduce((sum, [own, histogram]) => sum + (wanted(own) ? histogram[field] : 0), 0);
}

function shortName({ name }: Family): string {
  return name.startsWith(prefix) ? name.slice(prefix.length) : name;
}
