// Each alarm goes off when it has to, and none does while all is well: judged by promtool, with made-up metrics.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse, stringify } from 'yaml';
import { commands } from '../../src/cli/command-line.js';
import { packageFolder } from '../../src/config/package-folder.js';
import { promtool } from '../support/prometheus.js';
import { tempFolder } from '../support/temp-folder.js';

const rulesFile = join(packageFolder(), 'config', 'production', 'alarms.yml');

const own = (name: string, labels = '') => `iotlab_broker_${name}{job="iotlab-broker", instance="b:9883"${labels}}`;
const up = 'up{job="iotlab-broker", instance="b:9883"}';
const started = 'process_start_time_seconds{job="iotlab-broker", instance="b:9883"}';
const lag = 'nodejs_eventloop_lag_seconds{job="iotlab-broker", instance="b:9883", quantile="0.99"}';
const drops = own('messages_dropped_total', ', reason="queue-full"');
const guesses = own('connections_refused_total', ', reason="wrong-password"');
const certificate = own('tls_certificate_expiry_timestamp_seconds', ', role="server"');
const reloads = own('config_reloads_total', ', result="failure"');
const near = own('users_over_ratio', ', limit="queuedBytesPerUser", ratio="0.95"');
const bucket = (le: string) => own('store_commit_duration_seconds_bucket', `, le="${le}"`);

/** Two hours of a broker that is well, a value a minute. */
const well: Readonly<Record<string, string>> = {
  [up]: '1x120',
  [started]: '1000x120',
  [own('up', ', part="store"')]: '1x120',
  [own('up', ', part="credentials"')]: '1x120',
  [certificate]: `${90 * 86_400}x120`,
  [reloads]: '0x120',
  [own('connections', ', protocol="5"')]: '400x120',
  [own('connections', ', protocol="3.1.1"')]: '400x120',
  [own('connections_limit')]: '1000x120',
  [lag]: '0.01x120',
  [bucket('0.1')]: '0+100x120',
  [bucket('1')]: '0+100x120',
  [bucket('+Inf')]: '0+100x120',
  [own('held_bytes')]: '100x120',
  [own('held_bytes_limit')]: '1000x120',
  [own('memory_reliefs_total')]: '3x120',
  [drops]: '0+30x120',
  [guesses]: '0+60x120',
  [near]: '0x120',
};

/** What is otherwise when the alarm has to go off. */
const wrong: readonly (readonly [alarm: string, also: readonly string[], series: Readonly<Record<string, string>>])[] =
  [
    ['BrokerDown', [], { [up]: '0x120' }],
    ['BrokerRestarts', [], { [started]: '1000+60x120' }],
    ['StoreFails', [], { [own('up', ', part="store"')]: '0x120' }],
    ['CredentialsFail', [], { [own('up', ', part="credentials"')]: '0x120' }],
    ['CertificateEnds', [], { [certificate]: `${10 * 86_400}x120` }],
    ['CertificateEnded', ['CertificateEnds'], { [certificate]: '40000x120' }],
    ['ConfigurationRefused', [], { [reloads]: '0x110 1x10' }],
    ['ConnectionsNearLimit', [], { [own('connections', ', protocol="5"')]: '550x120' }],
    ['EventLoopLags', [], { [lag]: '0.2x120' }],
    ['StoreSlow', [], { [bucket('0.1')]: '0+50x120' }],
    ['MemoryShort', [], { [own('held_bytes')]: '950x120' }],
    ['MemoryShort', [], { [own('memory_reliefs_total')]: '3x113 4x7' }],
    ['MessagesDropped', [], { [drops]: '0+90x120' }],
    ['PasswordsGuessed', [], { [guesses]: '0+600x120' }],
    ['UserAtLimit', [], { [near]: '2x120' }],
  ];

function caseOf(name: string, alarms: readonly string[], series: Readonly<Record<string, string>>) {
  return {
    name,
    interval: '1m',
    input_series: Object.entries({ ...well, ...series }).map(([key, values]) => ({ series: key, values })),
    promql_expr_test: [
      {
        expr: 'count by (alertname) (ALERTS{alertstate="firing"})',
        eval_time: '2h',
        exp_samples: alarms.map((alarm) => ({ labels: `{alertname="${alarm}"}`, value: 1 })),
      },
    ],
  };
}

test('each alarm goes off when it has to, and none while all is well', async (t) => {
  const file = join(await tempFolder(t), 'alarms-test.yml');
  const tests = [caseOf('all is well', [], {})];
  for (const [alarm, also, series] of wrong) tests.push(caseOf(alarm, [alarm, ...also], series));
  await writeFile(file, stringify({ rule_files: [rulesFile], evaluation_interval: '1m', tests }));
  await promtool('test', 'rules', file);
});

test('each has a case, says how urgent it is, and what to do, with commands that there are', async () => {
  const { groups } = parse(await readFile(rulesFile, 'utf8')) as {
    groups: { rules: { alert: string; labels: { severity: string }; annotations: { remedy: string } }[] }[];
  };
  const rules = groups.flatMap((group) => group.rules);
  assert.deepEqual([...new Set(wrong.map(([alarm]) => alarm))].sort(), rules.map(({ alert }) => alert).sort());
  for (const { alert, labels, annotations } of rules) {
    assert.match(labels.severity, /^(page|ticket)$/, alert);
    assert.ok(annotations.remedy.length > 10, alert);
    for (const [, name = '', action = ''] of annotations.remedy.matchAll(/iotlab-broker ([a-z]+)(?: ([a-z]+))?/g)) {
      const command = await commands.get(name)?.();
      assert.ok(command?.help.includes(action), `${alert}: iotlab-broker ${name} ${action}`);
    }
  }
});
