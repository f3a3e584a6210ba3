import type { Histogram } from './histogram.js';

export type Labels = Readonly<Record<string, string>>;

/** One metric with all its label values. A counter's name ends in `_total`. */
export type Family =
  | {
      readonly name: string;
      /** A summary has quantiles, and no sum and count. */
      readonly type: 'counter' | 'gauge' | 'summary';
      readonly help: string;
      readonly samples: readonly (readonly [Labels, number])[];
    }
  | {
      readonly name: string;
      readonly type: 'histogram';
      readonly help: string;
      readonly samples: readonly (readonly [Labels, Histogram])[];
    };

export interface Exposition {
  readonly contentType: string;
  write(families: Iterable<Family>): string;
}

/** The text format of Prometheus. */
export const prometheusText: Exposition = {
  contentType: 'text/plain; version=0.0.4; charset=utf-8',
  write: (families) => {
    let text = '';
    for (const family of families) text += textOf(family, family.name);
    return text;
  },
};

/** OpenMetrics: a counter's family is named without `_total`, and the text has an end. */
export const openMetricsText: Exposition = {
  contentType: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  write: (families) => {
    let text = '';
    for (const family of families) text += textOf(family, family.name.replace(/_total$/, ''));
    return `${text}# EOF\n`;
  },
};

/** What the `Accept` of a request asks for. */
export function expositionFor(accept: string): Exposition {
  return accept.includes('application/openmetrics-text') ? openMetricsText : prometheusText;
}

function textOf(family: Family, familyName: string): string {
  const { name, type, help } = family;
  let text = `# HELP ${familyName} ${escaped(help, false)}\n# TYPE ${familyName} ${type}\n`;
  if (family.type === 'histogram') {
    for (const [labels, histogram] of family.samples) text += histogramText(name, labels, histogram);
  } else for (const [labels, value] of family.samples) text += `${name}${labelText(labels)} ${numberText(value)}\n`;
  return text;
}

function histogramText(name: string, labels: Labels, { bounds, counts, sum }: Histogram): string {
  let text = '';
  let count = 0;
  for (let i = 0; i < counts.length; i++) {
    count += counts[i]!;
    const le = i < bounds.length ? numberText(bounds[i]!, true) : '+Inf';
    text += `${name}_bucket${labelText({ ...labels, le })} ${count}\n`;
  }
  return `${text}${name}_sum${labelText(labels)} ${numberText(sum)}\n${name}_count${labelText(labels)} ${count}\n`;
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value, true)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(text: string, quoted: boolean): string {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return quoted ? escaped.replaceAll('"', '\\"') : escaped;
}

/** OpenMetrics writes bounds as floats: `1.0`. */
function numberText(value: number, float = false): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  return float && Number.isInteger(value) ? `${value}.0` : String(value);
}
