import assert from 'node:assert/strict';

type Labels = Readonly<Record<string, string>>;

/** What an answer of /metrics says. Throws for a line that is none of the format's. */
export class MetricsText {
  readonly types = new Map<string, string>();
  readonly help = new Map<string, string>();
  readonly samples: { readonly name: string; readonly labels: Labels; readonly value: number }[] = [];

  constructor(text: string) {
    for (const line of text.trimEnd().split('\n')) {
      const comment = /^# (HELP|TYPE) (\w+) (.*)$/.exec(line);
      if (comment !== null) {
        const [, kind, name = '', rest = ''] = comment;
        (kind === 'HELP' ? this.help : this.types).set(name, rest);
        continue;
      }
      const sample = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
      assert.ok(sample !== null, `no line of a metric: ${line}`);
      const [, name = '', labels = '', value = ''] = sample;
      const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, text]) => [label, text]);
      this.samples.push({
        name,
        labels: Object.fromEntries(pairs),
        value: value === '+Inf' ? Infinity : Number(value),
      });
    }
  }

  /** The sum of the samples with these labels, whatever others they have; 0: there is none. */
  sum(name: string, labels: Labels = {}): number {
    let sum = 0;
    for (const sample of this.samples) {
      if (sample.name !== `iotlab_broker_${name}` && sample.name !== name) continue;
      if (Object.entries(labels).every(([label, value]) => sample.labels[label] === value)) sum += sample.value;
    }
    return sum;
  }

  /** As `sum`, by the values of a label. */
  by(label: string, name: string, labels: Labels = {}): Record<string, number> {
    const values = new Set(this.samples.flatMap((sample) => sample.labels[label] ?? []));
    const sums = [...values].map((value) => [value, this.sum(name, { ...labels, [label]: value })] as const);
    return Object.fromEntries(sums.filter(([, sum]) => sum !== 0));
  }
}

export async function readMetrics(port: number): Promise<MetricsText> {
  return new MetricsText(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text());
}
