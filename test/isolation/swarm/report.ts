import { whole } from './harm.js';
import type { Trial } from './trial.js';
import type { Verdict } from './verdict.js';
import type { Timing } from './watcher.js';

const pair = ({ p99Ms, maxMs }: Timing): string => `${whole(p99Ms)}/${whole(maxMs)}`;

/** One line: what the quiet user saw (p99 and most, in milliseconds), and what the broker took. */
export function line({ watch, attack, restart, ending }: Trial, { outcome }: Verdict): string {
  const restarted = restart === null ? '' : `, start ${whole(restart.startMs)} ms and ${whole(restart.peakMb)} MB`;
  return (
    `${outcome.padEnd(7)} delivery ${pair(watch.delivery)} ms, PUBACK ${pair(watch.puback)} ms, ` +
    `login ${pair(watch.login)} ms, /health ${whole(watch.health.maxMs)} ms, ${whole(watch.peakMb)} MB${restarted}${ending === null ? '' : ', the broker ended'}` +
    ` (set up ${whole(attack.setUpMs / 1_000)} s, attack ${whole(attack.attackMs / 1_000)} s, ` +
    `sent ${whole(attack.tally.sentBytes / 1e6)} MB)`
  );
}

export const tableHead = [
  '| attack | delivery p99 / max ms | PUBACK p99 / max ms | login p99 / max ms | RSS peak MB | alive | verdict |',
  '| --- | --- | --- | --- | --- | --- | --- |',
].join('\n');

export function tableRow({ program, watch, restart, ending }: Trial, { outcome, findings }: Verdict): string {
  const cells = [
    program.name,
    ...[watch.delivery, watch.puback, watch.login].map((it) => pair(it).replace('/', ' / ')),
  ];
  const started = restart === null ? '' : `; start ${whole(restart.startMs)} ms, ${whole(restart.peakMb)} MB`;
  const kinds = findings.map(({ kind }) => kind).join(', ');
  cells.push(
    `${whole(watch.peakMb)}${started}`,
    ending === null ? 'yes' : '**no**',
    `${outcome}${kinds && `: ${kinds}`}`,
  );
  return `| ${cells.join(' | ')} |`;
}
