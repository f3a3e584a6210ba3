interface Family {
  /** `# TYPE` and `# HELP`. */
  readonly about: string[];
  readonly samples: string[];
}

/** Puts together what each shard's metrics say, each sample with the label `shard`; in either format of Prometheus. */
export function mergeMetrics(texts: ReadonlyMap<string, string>, own: string): string {
  const families = new Map<string, Family>();
  let end = '';
  for (const [shard, text] of texts) {
    let family: Family | null = null;
    for (const line of text.split('\n')) {
      if (line === '') continue;
      if (line === '# EOF') {
        end = '# EOF\n';
        continue;
      }
      const about = /^# (?:TYPE|HELP|UNIT) (\S+)/.exec(line);
      if (about !== null) {
        const name = about[1]!;
        family = families.get(name) ?? { about: [], samples: [] };
        families.set(name, family);
        if (!family.about.includes(line)) family.about.push(line);
      } else family?.samples.push(labelled(line, shard));
    }
  }
  const lines = [...families.values()].flatMap(({ about, samples }) => [...about, ...samples]);
  return `${lines.map((line) => `${line}\n`).join('')}${own}${end}`;
}

/** `name{a="b"} 1` and `name 1`: a brace within a label's value does not matter, since the first one is the list's. */
function labelled(sample: string, shard: string): string {
  const brace = sample.indexOf('{');
  const space = sample.indexOf(' ');
  if (brace === -1 || brace > space) return `${sample.slice(0, space)}{shard="${shard}"}${sample.slice(space)}`;
  const others = sample[brace + 1] === '}' ? '' : ',';
  return `${sample.slice(0, brace + 1)}shard="${shard}"${others}${sample.slice(brace + 1)}`;
}
