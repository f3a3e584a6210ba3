// The measurements as one Markdown table.
const median = (values) => {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

function figure(value) {
  if (value === undefined) return '–';
  if (value >= 100) return Math.round(value).toLocaleString('en').replaceAll(',', ' ');
  return value.toFixed(value >= 10 ? 1 : 2);
}

export function table({ machine, versions, rounds, seconds, measured, names }) {
  const [ours, theirs] = names;
  const lines = [
    `${machine}; TLS 1.3, RSA-2048, 100 bytes unless said; medians of ${rounds} rounds of ${seconds} s.`,
    `${names.map((name) => `${name} ${versions[name]}`).join(', ')}.`,
    '',
    `| | ${names.join(' | ')} |${theirs ? ' ratio |' : ''}`,
    `| --- |${' --- |'.repeat(names.length)}${theirs ? ' --- |' : ''}`,
  ];
  const behind = [];
  for (const { row, results } of measured) {
    const of = (name, key) => median(results.get(name).map((result) => result[key]));
    const add = (title, key, moreIsBetter = false) => {
      const values = names.map((name) => of(name, key));
      if (values.every((value) => value === undefined)) return;
      const [better, worse] = moreIsBetter ? values : values.toReversed();
      const ratio = theirs ? [better && worse ? `${(better / worse).toFixed(2)} ×` : '–'] : [];
      lines.push(`| ${[title, ...values.map(figure), ...ratio].join(' | ')} |`);
      if (theirs && better / worse < 1) {
        const what = title.startsWith('**') ? '' : ` ${title.slice(2)}`;
        behind.push(`- ${row.name}${what}: ${(better / worse).toFixed(2)} ×`);
      }
    };
    add(`**${row.name}**: ${row.unit}`, 'microseconds');
    add('… without the others', 'alone');
    add('… per second', 'rate', true);
    add('… p50, ms', 'p50Ms');
    add('… p99, ms', 'p99Ms');
    add('… memory per idle connection, KB', 'kilobytes');
  }
  if (theirs) {
    lines.push('', `Ratio: how many times better ${ours} is than ${theirs}; below 1, it is worse.`, '');
    if (behind.length === 0) lines.push(`Behind ${theirs}: nowhere.`);
    else lines.push(`Behind ${theirs}:`, '', ...behind);
  }
  return lines.join('\n');
}
