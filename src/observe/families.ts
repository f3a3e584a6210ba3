import type { Family, Labels } from './exposition.js';
import type { Histogram } from './histogram.js';

type Samples = readonly (readonly [Labels, number])[];

/** Of the broker's own metrics. */
const PREFIX = 'iotlab_broker_';

export function counter(name: string, help: string, value: number | Samples): Family {
  return { name: PREFIX + name, type: 'counter', help, samples: samplesOf(value) };
}

export function gauge(name: string, help: string, value: number | Samples): Family {
  return { name: PREFIX + name, type: 'gauge', help, samples: samplesOf(value) };
}

export function histogram(name: string, help: string, samples: readonly (readonly [Labels, Histogram])[]): Family {
  return { name: PREFIX + name, type: 'histogram', help, samples };
}

/** A metric that other programs have by the same name. */
export function plain(
  type: 'counter' | 'gauge' | 'summary',
  name: string,
  help: string,
  value: number | Samples,
): Family {
  return { name, type, help, samples: samplesOf(value) };
}

/** A sample for each word of a tally; a word of several parts is one of as many labels. */
export function byWords(labels: readonly string[], tally: Iterable<readonly [string, number]>): Samples {
  return [...tally].map(([word, count]) => {
    const parts = word.split(' ');
    return [Object.fromEntries(labels.map((label, i) => [label, parts[i] ?? ''])), count] as const;
  });
}

/** Of a list that has a place for each value of the label. */
export function byIndex(label: string, names: readonly string[], values: readonly number[]): Samples {
  return names.map((name, i) => [{ [label]: name }, values[i] ?? 0] as const);
}

function samplesOf(value: number | Samples): Samples {
  return typeof value === 'number' ? [[{}, value]] : value;
}
