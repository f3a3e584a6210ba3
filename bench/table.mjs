// The measurements as one Markdown table.

/** The value below which `share` of the others are; undefined without any. */
function quantile(values, share) {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const at = (sorted.length - 1) * share;
  const [below, above] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return below + (above - below) * (at - Math.floor(at));
}

const median = (values) => quantile(values, 0.5);

function figure(value) {
  if (value === undefined) return '–';
  if (value >= 100) return Math.round(value).toLocaleString('en').replaceAll(',', ' ');
  return value.toFixed(value >= 10 ? 1 : 2);
}

/** How many times better the first is than the second, in each round that has both. */
function ratios(ours, theirs, moreIsBetter) {
  const both = ours.flatMap((value, round) => (value && theirs[round] ? [[value, theirs[round]]] : []));
  return both.map(([mine, other]) => (moreIsBetter ? mine / other : other / mine));
}

export function table({ machine, versions, rounds, seconds, measured, names }) {
  const [ours, ...others] = names;
  const headings = [...names, ...others.map((name) => `to ${name}`)];
  const lines = [
    `${machine}; TLS 1.3, RSA-2048, 100 bytes unless said; medians of ${rounds} rounds of ${seconds} s.`,
    `${names.map((name) => `${name} ${versions[name]}`).join(', ')}.`,
    '',
    `| | ${headings.join(' | ')} |`,
    `| --- |${' --- |'.repeat(headings.length)}`,
  ];
  // Everything is behind the floor, that being one.
  const behind = new Map(others.filter((name) => name !== 'floor').map((name) => [name, []]));
  for (const { row, results } of measured) {
    const add = (title, key, moreIsBetter = false) => {
      const values = names.map((name) => results.get(name).map((result) => result?.[key]));
      if (values.flat().every((value) => value === undefined)) return;
      const compared = others.map((name, index) => {
        const all = ratios(values[0], values[index + 1], moreIsBetter);
        if (all.length === 0) return '–';
        const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(all, share).toFixed(2));
        const what = title.startsWith('**') ? '' : ` ${title.slice(2)}`;
        if (middle < 1) behind.get(name)?.push(`- ${row.name}${what}: ${middle} × (${low} to ${high})`);
        return `${middle} × (${low}–${high})`;
      });
      lines.push(`| ${[title, ...values.map((each) => figure(median(each))), ...compared].join(' | ')} |`);
    };
    add(`**${row.name}**: ${row.unit}`, 'microseconds');
    add('… without the others', 'alone');
    add('… per second', 'rate', true);
    add('… p50, ms', 'p50Ms');
    add('… p99, ms', 'p99Ms');
    add('… memory per idle connection, KB', 'kilobytes');
  }
  if (others.length === 0) return lines.join('\n');
  lines.push('', `Ratio, in brackets its quartiles: how many times better ${ours} is; below 1, it is worse.`);
  for (const [name, rows] of behind) {
    lines.push(
      '',
      rows.length === 0 ? `Behind ${name}: nowhere.` : `Behind ${name}:`,
      ...(rows.length ? ['', ...rows] : []),
    );
  }
  return lines.join('\n');
}
