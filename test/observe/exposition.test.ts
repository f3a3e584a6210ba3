import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expositionFor, type Family, openMetricsText, prometheusText } from '../../src/observe/exposition.js';
import { Histogram } from '../../src/observe/histogram.js';
import { Tally } from '../../src/observe/tally.js';

const histogram = new Histogram([0.1, 1]);
for (const value of [0.1, 0.5, 1, 3]) histogram.observe(value);

const families: Family[] = [
  { name: 'x_total', type: 'counter', help: 'Things.', samples: [[{ kind: 'a"b\\c\nd' }, 7]] },
  { name: 'y', type: 'gauge', help: 'How\\much.\nMore.', samples: [[{}, 0.5]] },
  { name: 'z_seconds', type: 'histogram', help: 'How long.', samples: [[{ qos: '1' }, histogram]] },
];

test('the text format of Prometheus', () => {
  assert.equal(
    prometheusText.write(families),
    '# HELP x_total Things.\n# TYPE x_total counter\nx_total{kind="a\\"b\\\\c\\nd"} 7\n' +
      '# HELP y How\\\\much.\\nMore.\n# TYPE y gauge\ny 0.5\n' +
      '# HELP z_seconds How long.\n# TYPE z_seconds histogram\nz_seconds_bucket{qos="1",le="0.1"} 1\n' +
      'z_seconds_bucket{qos="1",le="1.0"} 3\nz_seconds_bucket{qos="1",le="+Inf"} 4\n' +
      'z_seconds_sum{qos="1"} 4.6\nz_seconds_count{qos="1"} 4\n',
  );
});

test('OpenMetrics: families of counters without _total, and an end', () => {
  const text = openMetricsText.write(families);
  assert.match(text, /^# HELP x Things\.\n# TYPE x counter\nx_total\{/);
  assert.match(text, /\n# EOF\n$/);
  assert.equal(expositionFor('application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3'), openMetricsText);
  for (const accept of ['', '*/*', 'text/plain;version=0.0.4']) assert.equal(expositionFor(accept), prometheusText);
});

test('a tally begins with the words it is given, and learns others', () => {
  const tally = new Tally(['a', 'b']);
  tally.add('b');
  tally.add('c', 2);
  assert.deepEqual(
    [...tally],
    [
      ['a', 0],
      ['b', 1],
      ['c', 2],
    ],
  );
  assert.deepEqual([tally.of('b'), tally.of('x'), tally.total], [1, 0, 3]);
});
