import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { eventually } from './deadline.js';
import { freePort } from './ports.js';
import type { Scope } from './sockets.js';

/** Debian's `promtool`; rejects with what it says when something is wrong. */
export async function promtool(...args: string[]): Promise<string> {
  try {
    return (await promisify(execFile)('promtool', args)).stdout;
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as { stdout?: string; stderr?: string; message: string };
    throw new Error(stdout + stderr === '' ? message : `promtool ${args.join(' ')}:\n${stdout}${stderr}`);
  }
}

/** What `promtool check metrics` thinks of an answer of /metrics: nothing, or its complaints. */
export async function checkMetrics(text: string): Promise<string> {
  const child = spawn('promtool', ['check', 'metrics'], { stdio: ['pipe', 'ignore', 'pipe'] });
  let complaints = '';
  child.stderr.on('data', (chunk) => (complaints += String(chunk)));
  child.stdin.end(text);
  await once(child, 'close');
  return complaints;
}

/** What a query selects: its labels, and the value. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Rule {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
  readonly state: string;
}

export interface Prometheus {
  query(expression: string): Promise<Sample[]>;
  /** Alarms, once each has been evaluated. */
  rules(): Promise<Rule[]>;
}

/** A real Prometheus with that configuration; ended with the test. */
export async function startPrometheus(scope: Scope, folder: string, configFile: string): Promise<Prometheus> {
  const port = await freePort();
  const args = [
    ...[`--config.file=${configFile}`, `--storage.tsdb.path=${folder}/tsdb`],
    ...[`--web.listen-address=127.0.0.1:${port}`, '--log.level=warn'],
  ];
  const child = spawn('prometheus', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += String(chunk)));
  scope.after(() => ended(child));
  const base = `http://127.0.0.1:${port}`;
  await eventually(20_000, 'Prometheus', async () => {
    if (child.exitCode !== null) throw new Error(`Prometheus ended with ${child.exitCode}:\n${text}`);
    return (await fetch(`${base}/-/ready`).catch(() => null))?.ok === true;
  });
  const ask = async <T>(path: string): Promise<T> => {
    const { status, data, error } = (await (await fetch(`${base}/api/v1${path}`)).json()) as {
      status: string;
      data: T;
      error?: string;
    };
    if (status !== 'success') throw new Error(`${path}: ${error}`);
    return data;
  };
  return {
    async query(expression) {
      const { result } = await ask<{ result: { metric: Record<string, string>; value: [number, string] }[] }>(
        `/query?query=${encodeURIComponent(expression)}`,
      );
      return result.map(({ metric, value: [, value] }) => ({ metric, value: Number(value) }));
    },
    async rules() {
      const { groups } = await ask<{ groups: { rules: Rule[] }[] }>('/rules');
      return groups.flatMap(({ rules }) => rules);
    },
  };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
